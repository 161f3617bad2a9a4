# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.documents.samples import sentences
from tests.bench.samples import ICOUNT
from tests.bench.server.samples import beside, runs, server_record
from tests.page.wellformed import problems, text_of
from ubypass.bench.documents.servers import SERVERS
from ubypass.bench.server.record import ServerRecord
from ubypass.page import html
from ubypass.page.content import Plot, plots

_METAL = replace(ICOUNT, unit="ns", accelerator="none")
_MINUS = "\N{MINUS SIGN}"


def _plots(*records: ServerRecord) -> list[Plot]:
    return list(plots([SERVERS.section(records)]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "1.5% fewer instructions for each request (10,000 → 9,850, runs from"),
        ({"boosted": runs(10_200)}, "2.0% more instructions"),
        ({"boosted": runs(9_990)}, "no difference beyond the spread of native runs"),
        ({"boosted": runs(10_010)}, "no difference"),
        ({"dispatched": 0.001, "boosted": runs(9_000)}, "almost nothing is boosted"),
        ({"machine": _METAL}, "1.5% less ns of CPU time for each request"),
        ({"machine": _METAL, "by_time": True}, "1.5% less ns for each request"),
        (
            {"priced_by": "zen4", "saved_ns": 90.0},
            "computed by the model zen4: +90 ns saved",
        ),
        ({"wrong": 3}, "<3 replies were wrong>"),
    ],
)
def test_a_sentence_is_true_whatever_was_measured(
    changes: dict[str, object], words: str
) -> None:
    assert words in sentences(SERVERS, server_record(**changes))


def test_many_cases_are_summed_up() -> None:
    costs = [9_000, 10_000, 10_001, 10_500, 9_500, 9_999, 11_000]
    records = [server_record(case=f"GET {n}", boosted=runs(n)) for n in costs]
    text = sentences(SERVERS, *records)
    assert text == (
        "redis, 7 cases: 2 take less, 2 more, 3 show no difference beyond the "
        f"spread of native runs; from {_MINUS}10.0% (GET 9000) to +10.0% (GET 11000) "
        "for each request."
    )


def test_plots_of_costs_of_exits_and_of_the_time_until_it_is_steady() -> None:
    found = [plot.draw(f"k{n}") for n, plot in enumerate(_plots(server_record()))]
    assert len(found) == 3
    assert "10,000 → 9,850, " in text_of(found[0])
    assert "frontier" in text_of(found[1])
    assert "first 0.5, steady 2.5 s" in text_of(found[2])
    assert all(problems(picture) == [] for picture in found)


def test_without_exits_there_is_no_plot_of_them() -> None:
    assert len(_plots(server_record(exits={}))) == 2


def test_what_was_never_boosted_nor_steady() -> None:
    never = server_record(steady_s=None, first_boost_s=None)
    assert "never steady" in text_of(_plots(never)[2].draw("k"))
    late = server_record(first_boost_s=None)
    assert "no dispatch" in text_of(_plots(late)[2].draw("k"))


def test_many_cases_are_shared_out_to_several_plots() -> None:
    many = [server_record(case=f"GET {n}", exits={}) for n in range(30)]
    assert len(_plots(*many)) == 2 * 3


def test_missed_goals_are_named() -> None:
    text = html.section(SERVERS.section([server_record(boosted=runs(10_100))]), "s")
    assert "Goals that were missed" in text
    text = html.section(SERVERS.section([server_record()]), "s")
    assert "missed" not in text


def test_one_origin_for_all_cases_of_a_command() -> None:
    records = [server_record(), server_record(date="2026-01-02 00:00")]
    (origin,) = SERVERS.origins(records)
    assert (origin.command, origin.date) == (
        "ub bench server redis",
        "2026-01-01 00:00",
    )


def test_rivals_are_rows_beside() -> None:
    records = [server_record(), beside()]
    read = SERVERS.read([record.as_json() for record in records])
    assert list(read) == records
    text = html.section(SERVERS.section(read), "s")
    assert "GET 64, F-Stack" in text_of(text)
    assert "TAP device" in text_of(text)
    assert "redis GET 64 on F-Stack, native" in sentences(SERVERS, *read)
    assert [pair.case for pair in SERVERS.pairs(read)] == ["redis GET 64"]
    assert len(SERVERS.origins(read)) == 2


def test_times_are_cases_of_their_own() -> None:
    (pair,) = SERVERS.pairs([server_record(by_time=True)])
    assert pair.case == "redis GET 64, time"


def test_versions_of_a_server_are_no_comparison_of_machines() -> None:
    records = [
        server_record(version=version)
        for version in ("", "redis 6.2.6", "redis 7.0.15")
    ]
    cases = [pair.case for pair in SERVERS.pairs(records)]
    assert cases == [
        f"{name} GET 64" for name in ("redis", "redis 6.2.6", "redis 7.0.15")
    ]
