"""The result of the chain, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from exatrkx.performance.selection import TARGET
from exatrkx.reporting.tables import with_interval
from exatrkx_acts.chain import Fits
from exatrkx_acts.finding import Tally
from exatrkx_acts.fitted import fit_ratio, unfitted
from exatrkx_acts.parameters import PARAMETERS
from exatrkx_acts.performance import MAX_PROMPT_R


def report(found: Mapping[str, Fits], tally: Tally) -> str:
    """What each finder found, how much of it, and how well it was measured."""
    events = [f"{tally.served} with tracks of the server"]
    events += [f"{tally.fallen_back} of the fallback"] if tally.fallen_back else []
    events += [f"{tally.skipped} failed and left out"] if tally.skipped else []
    lines = [f"events:      {', '.join(events)}"]
    for name, fits in found.items():
        lines += ["", f"{name}", *_counted(fits)]
    lines += [
        "",
        f"{'at the perigee':14} {'finder':>9} {'unit':>7} {'tracks':>7} {'residual: median':>17} {'width':>16}"
        f" {'pull: median':>14} {'width':>14}",
        *_measured(found),
        "",
        f"fitted − true, of particles produced within {MAX_PROMPT_R:g} mm of the beam line; width: half of the central "
        "68 %",
    ]
    return "\n".join(lines)


def _counted(fits: Fits) -> Iterator[str]:
    p, matched = fits.performance, fit_ratio(fits.tracks)
    lost = ", ".join(f"{count} {reason}" for reason, count in unfitted(fits.tracks).items() if count)
    yield f"tracks:      {p.tracks} fitted, of {len(fits.tracks)} candidates" + (f" ({lost})" if lost else "")
    for name, ratio, meaning in (
        ("fits:", matched, "candidates that match one of the particles below by double majority"),
        ("efficiency:", p.efficiency, f"double majority, half included, of {TARGET}"),
        ("fakes:", p.fake_ratio, "tracks that match no particle by double majority"),
        ("duplicates:", p.duplicate_ratio, "tracks of a particle that has a better one"),
    ):
        yield f"{name:12} {with_interval(ratio)} ({ratio.numerator} of {ratio.denominator}), {meaning}"


def _measured(found: Mapping[str, Fits]) -> Iterator[str]:
    for parameter in PARAMETERS:
        for name, fits in found.items():
            residual, pull = fits.performance.residuals[parameter.key], fits.performance.pulls[parameter.key]
            yield (
                f"{parameter.symbol:14} {name:>9} {parameter.unit:>7} {pull.total:7d} {residual.centre:17.3f}"
                f" {residual.width:8.3f} ± {residual.width_error:5.3f} {pull.centre:14.3f}"
                f" {pull.width:6.3f} ± {pull.width_error:5.3f}"
            )
