# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bench.documents.samples import ICOUNT, MILAN, SKYLAKE
from tests.bench.samples import record
from tests.bench.server.samples import runs, server_record
from tests.page.wellformed import problems, text_of
from ubypass.bench.documents.kind import Kind
from ubypass.bench.documents.loops import LOOPS
from ubypass.bench.documents.machines import sections
from ubypass.bench.documents.read import batch
from ubypass.bench.documents.servers import SERVERS
from ubypass.page import markdown
from ubypass.page.content import plots

_MINUS = "\N{MINUS SIGN}"


def _written(*given: tuple[Kind, Any]) -> str:
    batches = [batch(Path("x.json"), kind, [one], "") for kind, one in given]
    return "\n".join(map(markdown.section, sections(batches)))


def _cells(text: str, case: str) -> list[list[str]]:
    lines = (line for line in text.splitlines() if line.startswith(f"| {case} |"))
    return [[cell.strip() for cell in line.split("|")[2:-1]] for line in lines]


def test_a_row_for_each_machine_from_the_one_that_does_least() -> None:
    text = _written(
        (LOOPS, record(machine=SKYLAKE, native=1_540.0, boosted=1_250.0)),
        (LOOPS, record(size=256)),
        (LOOPS, record()),
        (SERVERS, server_record()),
        (SERVERS, server_record(machine=SKYLAKE, boosted=runs(10_100))),
    )
    first, second = _cells(text, "pread 64")
    assert first == [
        *("QEMU TCG CPU without page-table isolation", "1,400", "1,250"),
        *("0.8929", "+150", "75.0%"),
    ]
    assert second == [
        *("Skylake-Server with page-table isolation", "1,540", "1,250"),
        *("0.8117", "+290", "85.3%"),
    ]
    assert "pread 256" not in text
    assert _cells(text, "redis GET 64")[1][3:] == ["1.0100", f"{_MINUS}100", "-25.0%"]


def test_a_sentence_for_each_machine() -> None:
    text = _written(
        (LOOPS, record()),
        (LOOPS, record(machine=SKYLAKE, native=1_540.0)),
        (LOOPS, record(machine=MILAN, native=1_330.0, boosted=1_375.0)),
    )
    assert [line for line in text.splitlines() if line.startswith("- ")] == [
        "- QEMU TCG CPU without page-table isolation: the kernel switches on nothing.",
        "- EPYC-Milan without page-table isolation: the kernel switches on Safe RET; "
        "compared with the first, native costs change "
        f"by {_MINUS}5.0%, boosted costs by +10.0%.",
        "- Skylake-Server with page-table isolation: the kernel switches on PTI, clear "
        "buffers (MDS), retpolines; compared with the first, native costs change by "
        "+10.0%, boosted costs by 0.0%.",
    ]
    assert "not its time" in text


def test_one_machine_is_no_comparison() -> None:
    assert sections([]) == []
    assert _written((LOOPS, record()), (LOOPS, record())) == ""
    other = record(machine=SKYLAKE, size=1)
    assert _written((LOOPS, record()), (LOOPS, other)) == ""


def test_counted_and_timed_figures_are_apart() -> None:
    metal = replace(ICOUNT, unit="ns", accelerator="none")
    isolated = replace(metal, page_table_isolation=True)
    machines = (ICOUNT, metal, SKYLAKE, isolated)
    text = _written(*((LOOPS, record(machine=machine)) for machine in machines))
    counted, timed = text.split("## What isolation and mitigations change\n")[1:]
    assert "in instructions" in counted
    assert "in nanoseconds" in timed
    assert "not its time" not in timed
    assert len(_cells(timed, "pread 64")) == 2


def test_means_are_not_compared_with_medians() -> None:
    means = record(machine=SKYLAKE, deviations=(1.0, 2.0))
    assert _written((LOOPS, record()), (LOOPS, means)) == ""


def test_a_plot_of_what_is_saved_on_each() -> None:
    given = [
        batch(Path("x.json"), LOOPS, [record(machine=machine)], "")
        for machine in (ICOUNT, SKYLAKE)
    ]
    slow = record(machine=SKYLAKE, size=1, boosted=1_540.0, command="ub bench io -x")
    given.append(batch(Path("y.json"), LOOPS, [record(size=1), slow], ""))
    (plot,) = plots(sections(given))
    assert plot.command == "ub bench io; ub bench io -x"
    picture = plot.draw("k")
    assert problems(picture) == []
    for word in (
        "pread 64",
        "10.7% to 10.7%",
        "-10.0% to 10.7%",
        "Skylake-Server, PTI",
    ):
        assert word in text_of(picture)
