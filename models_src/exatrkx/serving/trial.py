"""Trial of exported networks: the whole chain on a bundled event, as it will be served."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from exatrkx.contract import EMBED, FILTER, GNN
from exatrkx.errors import ContractError, ExatrkxError, GraphTooLargeError
from exatrkx.events.event import features
from exatrkx.pipeline import Pipeline
from exatrkx.project_files import project_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch.jit import ScriptModule

    from exatrkx.working_point import WorkingPoint


def try_chain(networks: Mapping[str, ScriptModule], point: WorkingPoint) -> tuple[str, str | None]:
    """What the networks find in the first bundled event, a sentence; and what is to be warned of, if anything is.

    Args:
        networks: by the models that will serve them.
        point: the working point that they will be served with.

    Raises:
        ContractError: the chain fails.
    """
    try:
        from exatrkx.events.readers import read_events  # noqa: PLC0415 - needs PyArrow, and an export does not
    except ModuleNotFoundError as error:
        return f"not tried on an event: {error}", None
    event = next(read_events(project_files().events))
    pipeline = Pipeline(networks[EMBED.name], networks[FILTER.name], networks[GNN.name], point)
    where = f"bundled event {event.event_id} of {len(event):,} spacepoints"
    if point.extra:
        event = replace(event, extra={one.name: np.zeros_like(event.x) for one in point.extra})
        where += f", with zeros for {', '.join(event.extra)},"
    try:
        tracks = pipeline(features(event, point.extra))
    except GraphTooLargeError as error:
        return f"{where}: refused", f"{where} is refused: {error}: is the radius that of this embedding?"
    except ExatrkxError as error:
        raise ContractError(f"{where} fails: {error}") from error
    except Exception as error:  # whatever a user's network raises
        reason = str(error).strip().rpartition("\n")[2]  # TorchScript's stack comes first
        raise ContractError(f"{where} fails: {reason}") from error
    neighbours, kept = tracks.neighbour_edges.shape[1], tracks.edge_index.shape[1]
    found = int(tracks.labels.max(initial=-1)) + 1
    lost = "the filter" if neighbours and not kept else "the GNN" if kept else "the radius"
    warning = None if found else f"{where} has no track: {lost} leaves no edge or too few"
    return f"{where}: {neighbours:,} edges, {kept:,} after the filter, {found:,} tracks", warning
