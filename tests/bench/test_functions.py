# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from ubypass.bench import functions
from ubypass.bench.functions import Timing, geomean, summary, time_function
from ubypass.bench.subjects import prepare
from ubypass.bench.timings import show
from ubypass.errors import UbError


def timing(**changes: object) -> Timing:
    values: dict[str, object] = {
        "name": "f",
        "group": "string",
        "native": 10.0,
        "translated": 12.0,
        "native_instructions": 20,
        "translated_instructions": 30,
        "source_instructions": 50,
        "same": True,
    }
    return Timing(**(values | changes))  # type: ignore[arg-type]


def test_only_what_stays_inside_counts() -> None:
    timings = [timing(), timing(translated=30.0), timing(translated=0.1, left="here")]
    assert math.isclose(geomean(timings), math.sqrt(1.2 * 3))
    data = summary(timings)
    assert data["count"] == 2
    assert data["left_early"] == 1
    assert data["functions"][0]["ratio"] == 1.2
    assert data["functions"][0]["growth"] == 1.5
    with pytest.raises(UbError):
        geomean(timings[2:])


def test_json(tmp_path: Path) -> None:
    functions.write(tmp_path / "a.json", [timing()])
    data = json.loads((tmp_path / "a.json").read_text())
    assert data["geomean"] == 1.2
    assert data["record_version"] == 1
    with pytest.raises(UbError, match="cannot write"):
        functions.write(tmp_path / "a.json" / "b.json", [timing()])


def test_table() -> None:
    out = io.StringIO()
    show(
        [timing(), timing(name="g", same=False), timing(name="h", left="at 0x12")],
        Console(file=out),
    )
    text = out.getvalue()
    assert "1.200" in text
    assert "DIFFER" in text
    assert "h (at 0x12)" in text
    assert max(map(len, text.splitlines())) <= 80


def test_there_are_many_and_they_can_be_measured() -> None:
    found = {subject.name: subject for subject in prepare("")}
    assert len(found) >= 30
    for name in ("strtol", "swab", "lfind"):
        result = time_function(found[name], rounds=3)
        assert result.same
        assert result.native > 1
        assert result.native_instructions > 5


def test_guards_of_trusted_programs_take_fewer_instructions() -> None:
    subject = next(subject for subject in prepare("") if subject.name == "lfind")
    clamped, trusted = (time_function(subject, 3, trusted=t) for t in (False, True))
    assert clamped.same
    assert trusted.same
    assert clamped.native_instructions == trusted.native_instructions
    assert clamped.translated_instructions > trusted.translated_instructions
