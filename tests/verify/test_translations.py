# SPDX-License-Identifier: GPL-2.0-only
"""What the translator makes is accepted, and still safe when damaged."""

from __future__ import annotations

import random

import pytest

from tests.translate.assemble import assemble
from tests.translate.programs import Program
from tests.verify.oracle import Machine
from tests.verify.test_mutation import damage
from ubypass.abi import Abi, Translation
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.translate import translate
from ubypass.verify.allowlist import every_feature
from ubypass.verify.check import check
from ubypass.verify.errors import VerifyError

_TEXT = 0x5555_5555_0000
_ABI = Abi()
_EVERY = every_feature()


def _translation(seed: int, abi: Abi) -> Translation:
    program = Program(seed)
    code, labels = assemble(program.text(), _TEXT)
    entries = tuple(HotEntry(labels[name], nr) for name, nr in program.resumes)
    return translate(discover(RegionSpec(entries), BytesReader({_TEXT: code})), abi)


def _violation(translation: Translation, seed: int) -> str:
    entry = translation.entries[seed % len(translation.entries)]
    return Machine(translation, _ABI, seed, budget=200).run(entry.code_offset).violation


@pytest.mark.parametrize("trusted", [False, True], ids=["clamped", "trusted"])
@pytest.mark.parametrize("seed", range(8))
def test_accepted_and_safe(seed: int, trusted: bool) -> None:
    abi = Abi(trusted=trusted)
    whole = _translation(seed, abi)
    report = check(whole, abi, _EVERY)
    assert report.instructions > 20
    assert report.accesses > 0
    for run in range(6):
        assert _violation(whole, run) == ""
    rng = random.Random(seed)
    for run in range(15):
        mutant = damage(whole, rng)
        try:
            check(mutant, abi, _EVERY)
        except VerifyError:
            continue
        assert _violation(mutant, run) == "", mutant.code.hex()


@pytest.mark.parametrize("seed", range(4))
def test_trusted_code_has_no_conditional_moves_of_the_limit(seed: int) -> None:
    """And the same exits, entries and dispatches."""
    plain, trusted = (_translation(seed, Abi(trusted=t)) for t in (False, True))
    moves = [bytes((rex, 0x0F, 0x43)) for rex in (0x48, 0x4C)]
    assert any(move in plain.code for move in moves)
    assert not any(move in trusted.code for move in moves)
    assert trusted.trusted
    assert not plain.trusted
    assert len(trusted.code) <= len(plain.code)
    assert [e.user_ip for e in trusted.entries] == [e.user_ip for e in plain.entries]
    assert [d.nr for d in trusted.dispatches] == [d.nr for d in plain.dispatches]
    assert len(trusted.faults) == len(plain.faults)
    with pytest.raises(VerifyError, match="is not trusted"):
        check(trusted, _ABI, _EVERY)


_INTO_THE_MIDDLE = """
first: mov eax, 39
syscall
start: jmp head
head: test rbx, rbx
je join
sub rdx, 1
je side
join: sub rcx, 1
jne head
jmp first
side: call inner
jmp join
inner: ret
"""


def test_a_loop_that_is_entered_in_the_middle_pays() -> None:
    """It may be written out several times, and only one of them pays."""
    code, labels = assemble(_INTO_THE_MIDDLE, _TEXT)
    spec = RegionSpec((HotEntry(labels["start"], 39),))
    region = discover(spec, BytesReader({_TEXT: code}))
    for turns in (1, 2, 3, 16):
        report = check(translate(region, _ABI, turns=turns), _ABI, _EVERY)
        assert report.cycles >= 2
