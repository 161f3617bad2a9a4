# SPDX-License-Identifier: GPL-2.0-only
"""One piece of fuzzing: a subject made, translated, verified, run, judged.

What is not exact and what the verifier refuses are both failures.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import lru_cache

from iced_x86 import Code

from tests.fuzz.blocks import block_subject, blocks_of
from tests.fuzz.dense import dense_subject
from tests.fuzz.forms import form_subject, mixed_subject
from tests.fuzz.operands import Unsuitable
from tests.fuzz.regions import region_subject
from tests.fuzz.subject import Subject, case_of, passed, with_nonpointers
from ubypass.abi import ExitReason
from ubypass.errors import UbError
from ubypass.native.case import ABI
from ubypass.native.runner import run
from ubypass.process.elf import open_elf
from ubypass.region.graph import Block
from ubypass.translate.translate import translate
from ubypass.verify.check import check
from ubypass.verify.errors import VerifyError

__all__ = ["Outcome", "Unit", "run_unit", "subject_of", "wrong_with"]


@dataclass(frozen=True, slots=True)
class Unit:
    """What to do: ``kind`` is "form", "mixed", "dense", "block" or "region".

    ``name`` is the form or the program's file, ``number`` the seed or the number of
    the block, ``states`` how often to run it; ``trusted``: as a trusted program.
    ``fred``: as if system calls left rcx and r11 unchanged.
    """

    kind: str
    name: str
    number: int
    states: int
    trusted: bool = False
    fred: bool = False

    def __str__(self) -> str:
        marks = ("trusted" * self.trusted, "fred" * self.fred)
        words = (self.kind, self.name, str(self.number), *marks)
        return " ".join(filter(None, words))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a unit. ``failure``: what is wrong, empty if nothing is.

    ``faults``: exits for a fault, ``stale`` those of them that show flags, which nobody
    reads, that are not the original's; ``left`` and ``stale_left``: exits of any kind.
    """

    unit: Unit
    executions: int = 0
    mismatches: int = 0
    undecided: int = 0
    needless: int = 0
    faults: int = 0
    stale: int = 0
    left: int = 0
    stale_left: int = 0
    blocks: int = 0
    hit: tuple[int, ...] = ()
    refused: bool = False
    failure: str = ""


@lru_cache(maxsize=4)
def program_blocks(path: str) -> tuple[Block, ...]:
    """The different basic blocks of a program."""
    return tuple(blocks_of(path))


@lru_cache(maxsize=4)
def _code(path: str) -> dict[int, bytes]:
    return open_elf(path).executable_bytes()


def subject_of(unit: Unit) -> Subject:
    """Make the subject. Raises Unsuitable."""
    if unit.kind == "form":
        return form_subject(unit.name, unit.number)
    if unit.kind == "block":
        block = program_blocks(unit.name)[unit.number]
        text = b""
        for start, data in _code(unit.name).items():
            if start <= block.start < start + len(data):
                text = data[block.start - start : block.next_ip - start]
        return block_subject(unit.name, block, text, unit.number)
    if unit.kind == "mixed":
        return mixed_subject(unit.number, tuple(unit.name.split()))
    if unit.kind == "dense":
        return dense_subject(unit.number)
    return region_subject(unit.number)


def run_unit(unit: Unit) -> Outcome:
    """Do it all."""
    try:
        subject = subject_of(unit)
    except Unsuitable:
        return Outcome(unit)
    # Not all blocks of all programs: that would take most of the time.
    verified = unit.kind != "block" or unit.number % 8 == 0
    return judge(subject, unit, verified)


def judge(subject: Subject, unit: Unit, verified: bool = True) -> Outcome:
    """Translate, verify and run a subject."""
    rng = random.Random(unit.number)
    subject = with_nonpointers(subject, random.Random(f"nonpointers {unit.number}"))
    abi = replace(ABI, trusted=unit.trusted, fred=unit.fred)
    try:
        translation = translate(subject.region, abi)
    except UbError as error:
        return Outcome(unit, refused=True, failure=f"not translated: {error}")
    refusal = ""
    if verified:
        try:
            check(translation, abi)
        except VerifyError as error:
            refusal = f"the verifier refuses it: {error}"
    case = case_of(subject, rng, translation, abi)
    report = run(case, unit.states, unit.number)
    failure = str(report.failure) if report.failure else refusal
    return Outcome(
        unit=unit,
        executions=report.executions,
        mismatches=report.mismatches,
        undecided=report.undecided,
        needless=report.needless,
        faults=report.reasons.get(ExitReason.FAULT, 0),
        stale=report.inexact.get(ExitReason.FAULT, 0),
        left=sum(report.reasons.values()),
        stale_left=sum(report.inexact.values()),
        blocks=subject.blocks,
        hit=tuple(passed(subject, translation, dict(enumerate(report.exits)))),
        refused=bool(refusal),
        failure=failure,
    )


def wrong_with(subject: Subject, unit: Unit) -> str:
    """What is wrong with the subject, "" if nothing is."""
    return judge(subject, unit).failure


def form_code(name: str) -> int:
    """iced's number of a form."""
    return int(getattr(Code, name))
