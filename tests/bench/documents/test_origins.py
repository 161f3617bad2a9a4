# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

from tests.bench.samples import ICOUNT, record
from ubypass.bench.documents.origins import origin, origins
from ubypass.page.content import Standard


def test_one_for_each_machine_and_command() -> None:
    elsewhere = replace(ICOUNT, kernel="6.12.0")
    records = [
        record(command="a", date="2026-01-02"),
        record(command="a", date="2026-01-03", size=1),
        record(command="b", date="2026-01-04"),
        record(command="b", date="2026-01-05", machine=elsewhere),
    ]
    found = origins(records)
    assert [(each.command, each.date) for each in found] == [
        ("a", "2026-01-02"),
        ("b", "2026-01-04"),
        ("b", "2026-01-05"),
    ]
    assert dict(found[2].machine)["kernel"] == "Linux 6.12.0"
    assert {each.command for each in origins(records, lambda own: "c")} == {"c"}


def test_names_what_figures_depend_on() -> None:
    machine = replace(ICOUNT, erms=True, mitigations=("a", "b"))
    found = origin([record(machine=machine)], "c")
    assert found.standard is Standard.COUNTED
    rows = dict(found.machine)
    assert rows["processor"] == ICOUNT.cpu
    assert rows["fast strings (ERMS)"] == "yes"
    assert rows["mitigations"] == "a; b"
