"""Cost of a load balancer: throughput through it, and CPU time for a request, beside asking the server directly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exatrkx.reporting.markdown import markdown_table
from exatrkx_perf.goals import Goal, lower_goals, measured_goals
from exatrkx_perf.median_range import MedianRange, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECT: Final = "direct"
"""The way without a balancer, with which the others are compared."""

_LEAST_AT_SATURATION: Final = 0.98
_MOST_CPU_PERCENT: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What clients got by one way, and the CPU time that it took, which other programs on the machine change least.

    Attributes:
        rate: events per second.
        balancer_ms, server_ms, clients_ms: CPU time for an event; the balancer's is 0 where the clients balance.
    """

    rate: float
    balancer_ms: float
    server_ms: float
    clients_ms: float

    @property
    def all_ms(self) -> float:
        return self.balancer_ms + self.server_ms + self.clients_ms


Loads = dict[str, dict[int, Load]]
"""By way and repeat; every repeat has all ways in turn."""


def cost_goals(loads: Loads) -> list[Goal]:
    """Throughput of each way over that of asking directly, and the balancers' share of the server's CPU time."""
    direct = loads[DIRECT]
    goals = lower_goals(
        *(
            (f"throughput through {way} / direct", _ratio(of, direct, "rate"), _LEAST_AT_SATURATION, "")
            for way, of in loads.items()
            if way != DIRECT
        ),
        ("direct", MedianRange.of(load.rate for load in direct.values()), None, "events/s"),
    )
    return goals + measured_goals(
        *(
            (
                f"CPU time of {way} for an event, of the server's",
                MedianRange.of(100.0 * load.balancer_ms / direct[repeat].server_ms for repeat, load in of.items()),
                _MOST_CPU_PERCENT,
                "%",
            )
            for way, of in loads.items()
            if any(load.balancer_ms for load in of.values())
        )
    )


def cost_table(loads: Loads) -> str:
    """CPU time for an event by way: of balancer, server and clients, and all of it over that of asking directly."""
    rows = [
        (
            way,
            *(
                _cell(MedianRange.of(getattr(load, f"{part}_ms") for load in of.values()), ".3g")
                for part in ("balancer", "server", "clients")
            ),
            _cell(_ratio(of, loads[DIRECT], "all_ms"), ".3f"),
        )
        for way, of in loads.items()
    ]
    header = ("CPU time for an event, ms", "balancer", "server", "clients", "all / direct")
    return "\n".join(markdown_table(header, rows))


def _ratio(of: Mapping[int, Load], direct: Mapping[int, Load], figure: str) -> MedianRange | None:
    above, below = ({repeat: getattr(load, figure) for repeat, load in one.items()} for one in (of, direct))
    return ratio(above, below, paired=True)


def _cell(figure: MedianRange | None, spec: str) -> str:
    return "–" if figure is None or not figure.high else format(figure, spec)
