# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from tests.bench.server.samples import runs, server_record
from ubypass.bench.server.goals import goals
from ubypass.bench.server.record import ServerRecord


def missed(one: ServerRecord) -> list[str]:
    return [goal.what for goal in goals(one) if not goal.met]


def test_goals_of_every_server() -> None:
    assert missed(server_record()) == []
    assert missed(server_record(wrong=1)) == ["wrong replies"]
    assert missed(server_record(steady_s=5.5)) == ["seconds until steady"]
    assert missed(server_record(steady_s=None)) == ["seconds until steady"]
    assert missed(server_record(engine_share=0.02)) == ["engine's share of a CPU"]


@pytest.mark.parametrize(
    ("server", "case", "most"),
    [
        ("redis", "GET 1024", 1.005),
        ("nginx", "16 KiB, log, 2 workers", 1.005),
    ],
)
def test_cost_that_is_allowed(server: str, case: str, most: float) -> None:
    def at(cost: int) -> list[str]:
        good = {"server": server, "case": case, "dispatched": 0.7}
        return missed(server_record(**good, boosted=runs(cost)))

    assert at(round(10_000 * most) - 10) == []
    assert "cost, boosted / native" in at(round(10_000 * most) + 10)


def test_where_a_model_decides_the_time_that_it_tells_counts() -> None:
    slower = {"priced_by": "zen4", "boosted": runs(11_000)}
    assert missed(server_record(**slower, saved_ns=90.0)) == []
    assert missed(server_record(**slower, saved_ns=-5.0)) == ["ns saved per request"]


def test_goals_of_nginx_and_of_raw_sockets() -> None:
    nginx = server_record(server="nginx", case="4 KiB", dispatched=0.55)
    assert missed(nginx) == ["bypassed"]
    assert missed(server_record(dispatched=0.4)) == ["bypassed"]
    raw = {"server": "rawsocket", "case": "64 bytes, sum"}
    assert missed(server_record(**raw, dispatched=0.98)) == ["bypassed", "gained"]
    assert missed(server_record(**raw, dispatched=0.995, boosted=runs(9_700))) == []


def test_a_case_without_a_size() -> None:
    assert missed(server_record(case="all", dispatched=0.9)) == []
