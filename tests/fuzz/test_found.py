# SPDX-License-Identifier: GPL-2.0-only
"""Golden cases, run on this CPU, and how new ones come about."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from iced_x86 import Code, Instruction, Register

from tests.fuzz import found
from tests.fuzz.subject import HIGH_TEXT, Subject, case_of
from tests.fuzz.units import Unit
from tests.translate.assemble import assemble
from tests.translate.test_golden import _ALL, TEXT, abi_of
from ubypass.native.case import ABI, arrange
from ubypass.native.runner import run
from ubypass.processor import features
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.features import needs
from ubypass.translate.translate import translate

_UNIT = Unit("form", "made", 1, 200)


@pytest.mark.parametrize(
    ("name", "source"), [(name, source) for _, name, source, _ in _ALL]
)
def test_golden_cases_are_exact(name: str, source: str) -> None:
    code, labels = assemble(source, TEXT)
    region = discover(
        RegionSpec((HotEntry(labels["start"], 39),)), BytesReader({TEXT: code})
    )
    subject = Subject(name, {TEXT: code}, region, arrange(TEXT))
    wanted = {feature for i in subject.instructions() for feature in needs(i.code)}
    if not wanted <= features():
        pytest.skip(f"this processor lacks {', '.join(sorted(wanted - features()))}")
    kind = abi_of(source)
    abi = replace(ABI, trusted=kind.trusted, fred=kind.fred)
    case = case_of(subject, random.Random(1), translate(region, abi, turns=3), abi)
    report = run(case, 300, 1)
    assert report.failure is None, str(report.failure)
    assert report.undecided < 150


def _made() -> list[Instruction]:
    add = Instruction.create_reg_reg(Code.ADD_R64_RM64, Register.RDX, Register.RSI)
    nop = Instruction.create_reg_reg(Code.MOV_R64_RM64, Register.RBX, Register.RBP)
    return [nop, add, nop, nop]


def test_failures_shrink_and_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong_with(subject: Subject, unit: Unit) -> str:
        forms = {i.code for i in subject.instructions()}
        return "it adds" if Code.ADD_R64_RM64 in forms else ""

    monkeypatch.setattr(found, "wrong_with", wrong_with)
    subject = found.straight(_made(), HIGH_TEXT)
    file = tmp_path / "found.txt"
    name = found.save(subject, _UNIT, "it adds", file)
    text = file.read_text()
    assert name in text
    assert text.count(".byte") == 2
    assert "add rdx,rsi" in text
    source = text.partition("\n")[2].partition("====")[0]
    code, labels = assemble(source, HIGH_TEXT)
    assert code == bytes.fromhex("4803d60f05")
    assert labels["start"] == HIGH_TEXT


def test_what_cannot_be_made_smaller_is_kept_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(found, "wrong_with", lambda subject, unit: "")
    subject = found.straight(_made(), HIGH_TEXT)
    assert found.shrink(subject, _UNIT) is subject
