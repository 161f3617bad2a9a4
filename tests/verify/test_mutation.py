# SPDX-License-Identifier: GPL-2.0-only
"""Damage good code: what is still accepted must still behave in an emulator."""

from __future__ import annotations

import dataclasses
import os
import random

import pytest

from tests.verify import cases
from tests.verify.oracle import Machine
from ubypass.abi import Abi, Translation
from ubypass.verify.allowlist import every_feature
from ubypass.verify.check import check
from ubypass.verify.errors import VerifyError

_ABI = Abi()
_EVERY = every_feature()
_MUTANTS = int(os.environ.get("UBYPASS_MUTANTS", "60"))
# The emulator does not know AVX and what came with it.
_UNKNOWN = (
    "vector",
    "vector_forms",
    "avx512",
    "avx512_disp8",
    "every_kind_of_integer_form",
)
_CASES = [case for case in cases.read("pass.s") if case.name not in _UNKNOWN]


def _violation(translation: Translation, seed: int, runs: int = 4) -> str:
    for entry in translation.entries:
        for run in range(runs):
            out = Machine(translation, _ABI, seed + run).run(entry.code_offset)
            if out.violation:
                return out.violation
    return ""


def damage(whole: Translation, rng: random.Random) -> Translation:
    """One or two bytes changed, outside of dispatches and constants."""
    code = bytearray(whole.code)
    size = _ABI.dispatch_vector_size if whole.vector else _ABI.dispatch_size
    taken = {
        at
        for dispatch in whole.dispatches
        for at in range(dispatch.code_offset, dispatch.code_offset + size)
    }
    places = [at for at in range(whole.constants) if at not in taken]
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.choice(places)
        if rng.random() < 0.5:
            code[at] ^= 1 << rng.randrange(8)
        else:
            code[at] = rng.randrange(256)
    return dataclasses.replace(whole, code=bytes(code))


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_mutants(case: cases.Case) -> None:
    whole = cases.translate(case)
    abi = dataclasses.replace(_ABI, trusted=case.trusted)
    assert _violation(whole, 1) == ""
    rng = random.Random(case.name)
    accepted = 0
    for number in range(_MUTANTS):
        mutant = damage(whole, rng)
        try:
            check(mutant, abi, _EVERY)
        except VerifyError:
            continue
        accepted += 1
        violation = _violation(mutant, number)
        assert violation == "", f"{violation}: {mutant.code.hex()}"
    assert accepted < _MUTANTS


_VIOLATIONS = (
    *("unchecked", "second_dest_xadd", "limit_raised"),
    *("private_area", "index_after_clamp", "free_loop", "rsp_moved"),
    *("entry_register_stored", "stale_register_in_tail"),
    *(
        "popfq_before_access",
        "xchg_zero_ext",
        "sign_extended_load",
        "clamp_value_changed",
        "trusted_on_the_taken_edge",
        "trusted_another_register",
        "trusted_greater",
        "trusted_changed_behind_the_branch",
    ),
    *(
        "number_changed_meanwhile",
        "number_compared_in_16_bits",
        "number_on_one_way_only",
        "number_of_the_neighbour",
        "number_overwritten_in_its_slot",
    ),
)
_FAIL = {case.name: case for case in cases.read("fail.s")}


@pytest.mark.parametrize("name", _VIOLATIONS)
def test_oracle_sees(name: str) -> None:
    """The oracle is worth something: it catches what these cases do."""
    assert _violation(cases.translate(_FAIL[name]), 7, 60)
