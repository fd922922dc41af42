"""The result of the chain, as text for a terminal."""

from __future__ import annotations

from exatrkx.performance.selection import TARGET
from exatrkx.reporting.tables import with_interval
from exatrkx_acts.finding import Tally
from exatrkx_acts.parameters import PARAMETERS
from exatrkx_acts.performance import MAX_PROMPT_R, Performance


def report(performance: Performance, tally: Tally) -> str:
    """What was found, how much of it, and how well it was measured."""
    p = performance
    events = [f"{tally.served} with tracks of the server"]
    events += [f"{tally.fallen_back} of the fallback"] if tally.fallen_back else []
    events += [f"{tally.skipped} failed and left out"] if tally.skipped else []
    lines = [
        f"events:      {', '.join(events)}",
        f"tracks:      {p.tracks} fitted, of {tally.proto_tracks} proto-tracks",
        *(
            f"{name:12} {with_interval(ratio)} ({ratio.numerator} of {ratio.denominator}), {meaning}"
            for name, ratio, meaning in (
                ("efficiency:", p.efficiency, f"double majority, of {TARGET}"),
                ("fakes:", p.fake_ratio, "tracks that match no particle by double majority"),
                ("duplicates:", p.duplicate_ratio, "tracks of a particle that has a better one"),
            )
        ),
        "",
        f"{'at the perigee':14} {'unit':>7} {'tracks':>7} {'residual: median':>17} {'width':>16}"
        f" {'pull: median':>14} {'width':>14}",
    ]
    for parameter in PARAMETERS:
        residual, pull = p.residuals[parameter.key], p.pulls[parameter.key]
        lines.append(
            f"{parameter.symbol:14} {parameter.unit:>7} {pull.total:7d} {residual.centre:17.3f}"
            f" {residual.width:8.3f} ± {residual.width_error:5.3f} {pull.centre:14.3f}"
            f" {pull.width:6.3f} ± {pull.width_error:5.3f}"
        )
    lines += [
        "",
        f"fitted − true, of particles produced within {MAX_PROMPT_R:g} mm of the axis; width: half of the central 68 %",
    ]
    return "\n".join(lines)
