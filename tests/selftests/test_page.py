# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.places import ROOT
from tests.selftests.page import load, page, save


def _record(name: str, **more: Any) -> dict[str, Any]:
    program = {
        "name": name,
        "tests": 3,
        "equal": 3,
        "differing": {},
        "unstable": {},
        "complaints": [],
        "problems": {},
        "loads": 4,
        "processes": 2,
        "native": 2,
        "dispatched": 1040,
        "runs": 5,
        "declined": 1,
        **more,
    }
    return {"release": "6.1.0", "version": "6.1.1-1", "programs": [program]}


def test_the_page_is_of_the_results() -> None:
    docs = ROOT / "docs"
    assert (docs / "selftests.md").read_text() == page(load(docs / "selftests.json"))


def test_programs_that_are_not_run_keep_their_results(tmp_path: Path) -> None:
    file = tmp_path / "selftests.json"
    assert load(file) == []
    save(file, _record("x86/b"))
    save(file, _record("x86/a"))
    save(file, _record("x86/b", equal=2))
    [record] = load(file)
    assert [(p["name"], p["equal"]) for p in record["programs"]] == [
        ("x86/a", 3),
        ("x86/b", 2),
    ]


def test_the_page_has_all_that_differs() -> None:
    both = {"native": {"ok": 3}, "boosted": {"not ok": 1}}
    text = page(
        [
            _record(
                "x86/a",
                equal=2,
                differing={"t": both},
                complaints=["WARNING: x"],
                problems={"no room": 3},
            )
        ]
    )
    assert "1 programs, 3 tests: 2 equal, 1 differing, 0 unstable" in text
    assert "| x86/a | 3 | 2 | 1 |  | 1,042 | 1,040 | 5 | 1 |" in text
    assert "- x86/a, differing: t: natively ok (3); boosted not ok (1)" in text
    assert "- x86/a, kernel: `WARNING: x`" in text
    assert (
        "- x86/a, 3 regions beside 4 that were loaded, in 2 processes: no room" in text
    )
