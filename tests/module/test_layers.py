# SPDX-License-Identifier: GPL-2.0-only
"""Files of the module use only what stands above them in ``kernel/README.md``.

A unit uses another one if it includes its header, or names a symbol that it defines:
so does assembly, and a file that declares by itself what it calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.module.units import declared, defined, graph, units
from tests.places import ROOT

_KERNEL = ROOT / "kernel"
_GUIDE = _KERNEL / "README.md"

_ROW = re.compile(r"^\| `(\w+)` \|(.*)\|(.*)\|$", re.MULTILINE)


def _rows(guide: str) -> dict[str, frozenset[str]]:
    """What each unit may use, in the order of the table."""
    return {
        unit: frozenset(re.findall(r"`(\w+)`", uses))
        for unit, _, uses in _ROW.findall(guide)
    }


def _upwards(rows: Mapping[str, frozenset[str]]) -> list[tuple[str, str]]:
    """Uses of what does not stand above a row."""
    above: set[str] = set()
    found = []
    for unit, uses in rows.items():
        found += [(unit, other) for other in sorted(uses - above)]
        above.add(unit)
    return found


def test_files_are_no_cycle() -> None:
    # Raises CycleError, which names the files.
    TopologicalSorter(graph(_KERNEL)).prepare()


@pytest.mark.parametrize("unit", sorted(units(_KERNEL)))
def test_uses_what_its_row_says(unit: str) -> None:
    assert graph(_KERNEL)[unit] == _rows(_GUIDE.read_text("utf-8"))[unit]


def test_the_table_names_what_there_is() -> None:
    assert _rows(_GUIDE.read_text("utf-8")).keys() == units(_KERNEL).keys()


def test_rows_use_what_stands_above() -> None:
    assert _upwards(_rows(_GUIDE.read_text("utf-8"))) == []


@pytest.mark.parametrize("unit", sorted(units(_KERNEL)))
def test_a_header_declares_what_its_unit_defines(unit: str) -> None:
    """Else somebody could use a symbol without an include, or this test not see it."""
    paths = units(_KERNEL)[unit]
    assert declared(paths) == defined(paths)


def _made(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_a_cycle_of_includes_is_found(tmp_path: Path) -> None:
    folder = _made(
        tmp_path,
        {"low.h": '#include "high.h"\n', "high.c": '#include "low.h"\n', "high.h": ""},
    )
    with pytest.raises(CycleError):
        TopologicalSorter(graph(folder)).prepare()


def test_a_cycle_of_calls_is_found(tmp_path: Path) -> None:
    """Also if one of the two declares by itself what it calls, or is assembly."""
    folder = _made(
        tmp_path,
        {
            "low.S": "SYM_FUNC_START(ub_low)\n\tcall ub_high\nSYM_FUNC_END(ub_low)\n",
            "high.c": "void ub_low(void);\n/* ub_none */\nvoid ub_high(void)\n{\n"
            '\tub_low();\n\tpr_info("ub_other");\n}\n',
            "other.c": "u64 ub_other;\nstatic int ub_hidden(void)\n{\n}\n",
        },
    )
    assert graph(folder) == {"low": {"high"}, "high": {"low"}, "other": set()}
    with pytest.raises(CycleError):
        TopologicalSorter(graph(folder)).prepare()


def test_definitions_are_found() -> None:
    assert {"ub_procs", "ub_attached", "ub_filter", "ub_proc_put"} <= defined(
        units(_KERNEL)["proc"]
    )
    assert {"ub_dead", "ub_region_mutex", "ub_live_regions"} <= declared(
        units(_KERNEL)["region"]
    )
    assert defined(units(_KERNEL)["enter"]) == {"ub_enter", "ub_leave"}
    assert defined(units(_KERNEL)["clear"]) == {"ub_clear_history", "ub_verw_selector"}


def test_what_points_downwards_in_the_table_is_found() -> None:
    guide = "| unit | subject | uses |\n|---|---|---|\n| `a` | x | `b` |\n| `b` | | |\n"
    assert _upwards(_rows(guide)) == [("a", "b")]


def test_no_code_is_behind_the_arena() -> None:
    # Unused entries of the exception table hold an address there (kernel/fault.c).
    text = (ROOT / "kernel" / "Kbuild").read_text("utf-8").replace("\\\n", " ")
    (objects,) = re.findall(r"^ub-y := (.+)$", text, re.M)
    assert objects.split()[-1] == "arena_text.o"
