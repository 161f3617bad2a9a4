# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.fuzz.mutate import (
    _PACKAGE,
    Mutation,
    _found,
    apply,
    catch,
    kind_of,
    mutations,
)
from tests.fuzz.units import Outcome, Unit
from ubypass.errors import UbError


def test_every_planted_bug_can_be_planted() -> None:
    texts = {m.file: (_PACKAGE / m.file).read_text("utf-8") for m in mutations()}
    stale = [
        f"{m.file} has {texts[m.file].count(m.before)} times: {m.before!r}"
        for m in mutations()
        if texts[m.file].count(m.before) != 1 or m.before == m.after
    ]
    # Bring tests/fuzz/mutations.toml up to date with the rule.
    assert stale == []


def test_there_are_bugs_for_each_file_with_rules() -> None:
    files = Counter(m.file for m in mutations())
    for name in ("lower", "lea", "string", "sandbox", "flags", "stack", "values"):
        assert files[f"translate/{name}.py"] >= 5
    for name in ("counted", "convert", "control", "dispatch", "exits", "repeat"):
        assert files[f"translate/{name}.py"] >= 3
    assert len(set(mutations())) == len(mutations()) >= 200


@pytest.mark.parametrize(
    "plants", ["sub adds", "what a return takes with it stays", "the other way"]
)
def test_some_are_caught(plants: str) -> None:
    (mutation,) = (m for m in mutations() if m.plants == plants)
    result = catch(mutation, turns=1, seconds=300)
    assert result.how
    assert kind_of(result.how) == "a difference"


def test_applied_once(tmp_path: Path) -> None:
    (mutation,) = (m for m in mutations() if m.plants == "sub adds")
    shutil.copytree(_PACKAGE / "translate", tmp_path / "translate")
    apply(mutation, tmp_path)
    changed = (tmp_path / mutation.file).read_text("utf-8")
    assert changed != (_PACKAGE / mutation.file).read_text("utf-8")
    with pytest.raises(UbError, match="0 times"):
        apply(mutation, tmp_path)


def test_how_a_bug_was_caught() -> None:
    assert kind_of("form X 1: the verifier refuses it: no") == "refused by the verifier"
    assert kind_of("breaks down: KeyError") == "the translator breaks down"
    assert kind_of("form X 1: state 0: rax is 1, not 2") == "a difference"


def test_a_sample_that_fails_anyway_proves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unit = Unit("form", "MOV_R64_RM64", 0, 10)
    line = json.dumps([asdict(unit), "rax is 1, not 2"])
    assert _found(line) == "form MOV_R64_RM64 0: rax is 1, not 2"
    wrong = Outcome(unit, failure="the verifier refuses it")
    monkeypatch.setattr("tests.fuzz.mutate.run_unit", lambda unit: wrong)
    with pytest.raises(UbError, match="nothing planted"):
        _found(line)


def test_a_mutation_is_data() -> None:
    for mutation in mutations():
        assert isinstance(mutation, Mutation)
        assert mutation.rule
        assert mutation.plants
