"""Probe of a served pipeline: a tiny event whose labels are known from the first time that it was asked for.

Whatever networks are served, the same event has the same labels: a stage that is dead or wrong shows.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

import numpy as np

from exatrkx.contract import FEATURES, NUM_FEATURES, num_features
from exatrkx_client.errors import ClientError
from exatrkx_server.errors import ServerSetupError

if TYPE_CHECKING:
    import numpy.typing as npt

    from exatrkx.contract import ModelSpec
    from exatrkx_client.triton_api import TritonApi

_LAYERS: Final = np.array([32.0, 72.0, 116.0, 172.0, 260.0, 360.0, 500.0])  # mm, radii of the detector's barrel
_TRACKS: Final = 4


class WrongAnswerError(ClientError):
    """A pipeline's answer is not that of the first time, or no answer to the event at all."""


def check_probing() -> None:
    """Look whether events can be sent: where a server is installed, its client need not be.

    Raises:
        ServerSetupError: they cannot.
    """
    try:
        importlib.import_module("tritonclient.http")
    except ModuleNotFoundError as error:
        raise ServerSetupError(f"probes: {error}: pip install 'tritonclient[http]', or --probe-every 0") from error


def probe_event(columns: int = NUM_FEATURES) -> npt.NDArray[np.float32]:
    """FEATURES [28,F] of four straight tracks of seven spacepoints each: r/1000 mm, φ/π, z/1000 mm, and zeros."""
    track = np.repeat(np.arange(_TRACKS), len(_LAYERS))
    r = np.tile(_LAYERS, _TRACKS) / 1000.0
    phi = track / 2.0 - 0.75
    z = r * np.linspace(-0.4, 0.4, _TRACKS)[track]
    others = np.zeros((columns - NUM_FEATURES, len(r)))
    return np.array([r, phi, z, *others], dtype=np.float32).T.copy()


def is_pipeline(model: ModelSpec) -> bool:
    """Whether a served model takes an event and gives labels, whichever way it is served."""
    # Nothing else: wcc takes FEATURES, too, among others.
    shape = probe_event(num_features(model)).shape
    takes = all(tensor.name == FEATURES.name and tensor.accepts(shape) for tensor in model.inputs)
    return takes and any(tensor.name == "LABELS" for tensor in model.outputs)


class Probe:
    """The event, for one pipeline of one server."""

    def __init__(self, api: TritonApi, model: ModelSpec) -> None:
        self._api = api
        self._model = model.name
        self._event = probe_event(num_features(model))
        self._outputs = tuple(tensor.name for tensor in model.outputs if tensor.name in ("LABELS", "EDGE_SCORES"))
        self._labels: npt.NDArray[np.int64] | None = None

    def ask(self) -> None:
        """Send the event, and compare its labels with those of the first time.

        Raises:
            WrongAnswerError: the labels differ, or scores are not finite.
            ClientError: there is no answer.
        """
        event = self._event
        tensors = self._api.infer(self._model, {FEATURES.name: event}, self._outputs).tensors
        labels = tensors["LABELS"]
        if labels.shape != (len(event),):
            raise WrongAnswerError(f"{len(event)} spacepoints were given labels of shape {list(labels.shape)}")
        if not np.isfinite(tensors.get("EDGE_SCORES", 0.0)).all():
            raise WrongAnswerError("scores of edges are not finite")
        if self._labels is None:
            self._labels = labels
        elif not np.array_equal(labels, self._labels):
            differ = np.count_nonzero(labels != self._labels)
            raise WrongAnswerError(f"{differ} of {len(event)} labels differ from those of the same event at the start")
