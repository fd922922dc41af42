"""Track completion: merging of a track's pieces, extension and hole recovery by local helices.

Networks leave out a spacepoint where an edge to it is missing, and a track in pieces where a layer gave no hit. Both
show in the track itself: five neighbouring hits of it give a helix (a parabola in the transverse plane, a line in z
along its arc), which says where further hits are. Looked through is each segment between two of a candidate's hits, and
before the first and behind the last as far as `completion_reach`, never past the beam line.

A spacepoint at distance d along the track from the nearest hit fits when its χ² of two terms is at most
`completion_sigmas`². The transverse one has the standard deviation of what a parabola through equally spaced hits of
resolution `hit_resolution` extrapolates to, and of multiple scattering, d · `scattering_length` / R at a radius of
curvature R (an angle that falls with the momentum, as the Highland formula has it). The longitudinal one has that of a
line, the same scattering, and d · `polar_spread` for the coarse coordinate of strips. Besides, few enough free
spacepoints must be about: with F of them in the event, F σₜ σₗ / r² is at most `max_chance`.

Candidates of which each has the other's end hit on its helix are merged, the best pairs first; then free spacepoints
are added, the best first, one for each segment; and what has changed is looked at again until nothing does. Of all
that may be chosen the smallest σₜ² σₗ² (1 + χ²) is best. At last candidates with fewer than `min_track_hits`
spacepoints, too few for the five parameters of a track, are dropped.

Nothing depends on the order of edges or spacepoints, but for those at one and the same place. The scores of the
networks have spoken before, in the candidates; no edge is needed here, as where one is missing none was proposed.

Sources: track stitching and hole recovery as in track fits of the LHC experiments; the spread of an extrapolation from
least squares; V. L. Highland, Nucl. Instrum. Meth. 129 (1975) 497.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exatrkx import checks
from exatrkx.arrays import Array, on_gpu
from exatrkx.contract import WCC
from exatrkx.errors import ContractError
from exatrkx.stages import native

if TYPE_CHECKING:
    from exatrkx.working_point import WorkingPoint

_FEATURES = WCC.input("FEATURES")


def complete_tracks(features: Array | None, labels: Array, cuts: WorkingPoint) -> Array:
    """The candidates of `labels`, completed as the module says.

    Args:
        features: [N,3] FP32 (r / 1000 mm, φ / π, z / 1000 mm), NumPy or CuPy.
        labels: [N] INT64 as `exatrkx.stages.track_building` gives them.
        cuts: the working point; at a `completion_reach` of 0 the labels are returned as they are.

    Returns:
        [N] INT64 labels, 0, 1, 2, … in the order of the candidates' smallest spacepoint index, and −1 for spacepoints
        on none. On a GPU the work is done on the host: features and labels are copied there, the labels back.

    Raises:
        ContractError: there are no features, or not finite FP32 ones for each spacepoint.
    """
    if cuts.completion_reach <= 0.0:
        return labels
    if features is None:
        raise ContractError(f"{_FEATURES.name}: expected {_FEATURES}, found no such input")
    checks.check_tensor(features, _FEATURES)
    if len(features) != len(labels):
        raise ContractError(
            f"{_FEATURES.name}: expected one row for each of {len(labels)} spacepoints, found {len(features)}"
        )
    checks.check_finite(features, _FEATURES.name)
    if on_gpu(labels):
        import cupy  # noqa: PLC0415 - only where a CuPy array has come in

        with labels.device:
            return cupy.asarray(_on_host(cupy.asnumpy(features), labels.get(), cuts))
    return _on_host(features, labels, cuts)


def _on_host(features: Array, labels: Array, cuts: WorkingPoint) -> Array:
    if native.available():
        return native.complete_tracks(features, labels, cuts)
    from exatrkx.stages import completion_reference  # noqa: PLC0415 - of no use to the compiled form

    return completion_reference.complete_tracks(features, labels, cuts)
