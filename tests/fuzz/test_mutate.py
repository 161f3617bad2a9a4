# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import ast
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
    changed,
    kind_of,
    matches,
    mutations,
)
from tests.fuzz.units import Outcome, Unit
from ubypass.errors import UbError


def test_every_planted_bug_can_be_planted() -> None:
    texts = {m.file: (_PACKAGE / m.file).read_text("utf-8") for m in mutations()}
    found = {m: matches(m, ast.parse(texts[m.file])) for m in mutations()}
    # Bring tests/fuzz/mutations.toml up to date with the rule.
    assert [(m, count) for m, count in found.items() if count != 1] == []


def test_every_planted_bug_changes_something() -> None:
    texts = {m.file: (_PACKAGE / m.file).read_text("utf-8") for m in mutations()}
    plain = {file: ast.unparse(ast.parse(text)) for file, text in texts.items()}
    idle = [m for m in mutations() if changed(m, texts[m.file]) == plain[m.file]]
    assert idle == []


_MODULE = """
class Account:
    def add(self, amount):
        if amount > 0:
            self.total += amount  # a comment
            self.log('add', amount)
            self.log('add', amount)
        return self.total

def add(amount):
    return amount > 0
"""


def _planted(function: str, before: str, after: str) -> Mutation:
    return Mutation("account.py", function, "sums", "a bug", before, after)


@pytest.mark.parametrize(
    ("function", "before", "after", "expected"),
    [
        ("Account.add", "amount>0", "amount >= 0", "if amount >= 0:"),
        ("Account.add", "(amount\n  > 0)", "True", "if True:"),
        ("add", "amount > 0", "amount", "return amount\n"),
        (
            "Account.add",
            'self.total += amount\nself.log("add", amount)',
            "self.log('add', amount)",
            "        if amount > 0:\n            self.log",
        ),
        ("Account.add", "self.total += amount", "pass", "            pass\n"),
        ("", "return amount > 0", "return None", "return None"),
    ],
)
def test_layout_and_quotes_do_not_matter(
    function: str, before: str, after: str, expected: str
) -> None:
    assert expected in changed(_planted(function, before, after), _MODULE) + "\n"


@pytest.mark.parametrize(
    ("function", "before", "times"),
    [
        ("", "amount > 0", 2),
        ("Account.add", "self.log('add', amount)", 2),
        ("Account.add", "amount > 1", 0),
        ("Account", "amount > 0", 1),
        ("Account.remove", "amount > 0", 0),
        # A method is no function of the module.
        ("log", "amount > 0", 0),
    ],
)
def test_counts_what_is_equal(function: str, before: str, times: int) -> None:
    mutation = _planted(function, before, "None")
    assert matches(mutation, ast.parse(_MODULE)) == times
    if times != 1:
        with pytest.raises(UbError, match=f"{times} times"):
            changed(mutation, _MODULE)


def test_there_are_bugs_for_each_file_with_rules() -> None:
    files = Counter(m.file for m in mutations())
    for name in ("lower", "lea", "string", "sandbox", "flags", "stack", "spill"):
        assert files[f"translate/{name}.py"] >= 5
    for name in ("rcx_branches", "edge_code", "control", "dispatch", "exits", "remat"):
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
    text = (_PACKAGE / mutation.file).read_text("utf-8")
    assert (tmp_path / mutation.file).read_text("utf-8") == changed(mutation, text)
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
