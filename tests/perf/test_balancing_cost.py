"""Cost of a load balancer out of what was measured by each way."""

from __future__ import annotations

import pytest

from exatrkx_perf.balancing_cost import DIRECT, Load, Loads, cost_goals, cost_table


def loads(balancer_ms: float) -> Loads:
    """A second repeat on a machine that is half as fast, in which nothing but its speed is another."""
    direct = Load(rate=100.0, balancer_ms=0.0, server_ms=16.0, clients_ms=4.0)
    through = Load(rate=99.0, balancer_ms=balancer_ms, server_ms=16.0, clients_ms=4.0)
    return {
        way: {0: one, 1: Load(rate=one.rate / 2, **{part: 2 * getattr(one, part) for part in PARTS})}
        for way, one in ((DIRECT, direct), ("client", direct), ("haproxy", through))
    }


PARTS = ("balancer_ms", "server_ms", "clients_ms")


@pytest.mark.parametrize(("balancer_ms", "met"), [(0.16, True), (0.4, False)])
def test_share_of_a_balancer_whatever_the_speed_of_the_machine(balancer_ms: float, met: bool) -> None:
    goals = {goal.name: goal for goal in cost_goals(loads(balancer_ms))}
    share = goals["CPU time of haproxy for an event, of the server's"]
    assert (share.measured.low, share.measured.high) == pytest.approx((100 * balancer_ms / 16,) * 2)
    assert share.met is met
    assert goals["throughput through haproxy / direct"].measured.median == pytest.approx(0.99)
    assert goals["throughput through haproxy / direct"].met
    assert not any("CPU" in name and "client" in name for name in goals), "who balances itself has no balancer"


def test_table_has_a_row_for_each_way() -> None:
    header, _, *rows = cost_table(loads(0.2)).splitlines()
    assert [cell.strip() for cell in header.strip("|").split("|")][1:] == [
        "balancer",
        "server",
        "clients",
        "all / direct",
    ]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert cells[0] == ["direct", "–", "24 (16 – 32)", "6 (4 – 8)", "1.000 (1.000 – 1.000)"]
    assert cells[2] == ["haproxy", "0.3 (0.2 – 0.4)", "24 (16 – 32)", "6 (4 – 8)", "1.010 (1.010 – 1.010)"]
