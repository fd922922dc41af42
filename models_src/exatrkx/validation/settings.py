"""Settings of a validation: what decides its report, see `exatrkx.run_settings`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exatrkx.validation.finders import NETWORKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exatrkx.pipeline import Pipeline
    from exatrkx.validation.evaluation import Evaluation, Sample


def identity_of(pipeline: Pipeline) -> dict[str, object]:
    """What decides a pipeline's answers: hashes of the weights, and the working point."""
    from exatrkx.networks.storage import hash_weights  # noqa: PLC0415 - evaluating other tracks needs no torch

    networks: dict[str, Any] = {"embed": pipeline.embed, "filter": pipeline.edge_filter, "gnn": pipeline.gnn}
    hashes = {f"{kind} weights_sha256": hash_weights(network) for kind, network in networks.items()}
    return {**hashes, **pipeline.working_point.numbers()}


def settings_of(
    evaluations: Sequence[Evaluation], samples: Sequence[Sample], tracks: Sequence[Sequence[str]]
) -> dict[str, object]:
    """Files of samples and of saved tracks, field and beam line of the fit, and what the networks know of themselves.

    Args:
        evaluations: each finder in each sample.
        samples: in their order.
        tracks: of each finder its name, and then its files.
    """
    networks = [dict(one.finder.identity) for one in evaluations if one.finder.name == NETWORKS]
    return {
        "samples": {sample.name: list(map(str, sample.paths)) for sample in samples},
        "tracks": {name: files for name, *files in tracks},
        "field": evaluations[0].result.fits.settings.field,
        "beam": list(evaluations[0].result.fits.settings.beam),
        "networks": networks[0] if networks else None,
    }
