"""Answer to a request for tracks: the result that a caller gets, made only of tensors that fit the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from exatrkx.checks import check_tensor
from exatrkx.contract import ENSEMBLE
from exatrkx.errors import ContractError
from exatrkx_client.errors import ServerError

FeatureArray = npt.NDArray[np.float32]
"""[N,3]: r / 1000 mm, φ / π, z / 1000 mm."""

LABELS: Final = ENSEMBLE.output("LABELS")
EDGES: Final = (ENSEMBLE.output("EDGE_INDEX"), ENSEMBLE.output("EDGE_SCORES"))

DIRECT: Final = "direct"
"""Who answered, where no server did: the pipeline in this process."""


@dataclass(frozen=True, slots=True)
class TrackResult:
    """What was found in an event of N spacepoints, and by whom.

    Attributes:
        labels: [N] −1, or the number of the spacepoint's track candidate.
        seconds: from the start of sending the request to its decoded answer; of the last attempt, if there were more.
        edge_index: [2,E] edges that the filter kept; None unless they were asked for.
        edge_scores: [E] the GNN's logits of those edges; None unless they were asked for.
        answered_by: the server's URL, or "direct" for the pipeline in this process.
        attempts: how often the request was sent; 0 where no server was asked.
    """

    labels: npt.NDArray[np.int64]
    seconds: float
    edge_index: npt.NDArray[np.int64] | None = None
    edge_scores: npt.NDArray[np.float32] | None = None
    answered_by: str = ""
    attempts: int = 1


def track_result(tensors: Mapping[str, Any], seconds: float, spacepoints: int, answered_by: str) -> TrackResult:
    """The result in an answer's tensors.

    Raises:
        ServerError: LABELS is missing, or has another type, form or length than the event asks for.
    """
    answer = f"{answered_by}: the {'pipeline' if answered_by == DIRECT else 'server'}'s answer"
    labels: Any = tensors.get(LABELS.name)
    try:
        check_tensor(labels, LABELS)
    except ContractError as error:
        raise ServerError(f"{answer}: {error}") from error
    if len(labels) != spacepoints:
        raise ServerError(f"{answer}: {len(labels)} labels for {spacepoints} spacepoints")
    edge_index, edge_scores = (tensors.get(tensor.name) for tensor in EDGES)
    return TrackResult(labels, seconds, edge_index, edge_scores, answered_by)
