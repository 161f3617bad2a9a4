# SPDX-License-Identifier: GPL-2.0-only
"""Chains of gaps in made-up code, and what the engine's rules say of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ubypass.bench.chains.admission import admitted
from ubypass.cost.model import model_of
from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.growth import TracedPath
from ubypass.region.reader import BytesReader

_CODE = 0x10000
_SYSCALL = b"\x0f\x05"
_READ, _WRITE = 0, 1
_FEW = 11
#: ``mov rax, [rbx]``, an access that is clamped.
_ACCESS = bytes.fromhex("488b03")

_ALONE = AdmissionPolicy(model_of("zen4"), model_decides=True)
_TRIES = AdmissionPolicy(model_of("zen4"))


class _Program:
    """Gaps behind one another in memory; each ends in its own system call."""

    def __init__(self, *lengths: int) -> None:
        self._code = b""
        self._paths: list[tuple[int, ...]] = []
        for length in lengths:
            start = _CODE + len(self._code)
            self._paths.append(
                tuple(start + len(_ACCESS) * n for n in range(length + 1))
            )
            self._code += _ACCESS * length + _SYSCALL

    def passed(
        self, policy: AdmissionPolicy, chain: Sequence[int], other: Sequence[int] = ()
    ) -> tuple[bool, ...]:
        """Of a chain of these gaps, by number; gap ``n`` begins behind gap ``n-1``.

        Those at the positions ``other`` begin with another call than usual, after which
        only the first instructions are executed.
        """
        paths = [
            TracedPath(ips[0], _WRITE, ips[:_FEW])
            if at in other
            else TracedPath(ips[0], _READ, ips)
            for at, ips in enumerate(self._paths[n] for n in chain)
        ]
        return admitted(paths, BytesReader({_CODE: self._code}), policy)


def test_short_gaps_are_admitted() -> None:
    assert _Program(10, 20).passed(_ALONE, [0, 1, 0, 1]) == (True,) * 4


def test_a_gap_with_too_many_different_instructions_never_is() -> None:
    program = _Program(10, 60)
    strict = AdmissionPolicy(model_of("zen4"), max_distinct=50)
    assert program.passed(strict, [0, 1, 0, 1]) == (True, False, True, False)


@pytest.mark.parametrize(("policy", "is_tried"), [(_ALONE, False), (_TRIES, True)])
def test_what_may_gain_is_tried_where_it_is_measured(
    policy: AdmissionPolicy, is_tried: bool
) -> None:
    """7,000 accesses: likely to lose, but they may be hidden behind other work."""
    program = _Program(10, 7_000)
    wide = AdmissionPolicy(policy.model, policy.model_decides, max_distinct=1 << 20)
    assert program.passed(wide, [0, 1, 0, 1]) == (True, is_tried) * 2


def test_of_several_calls_at_one_address_each_is_judged_by_its_own_path() -> None:
    program = _Program(10, 7_000)
    wide = AdmissionPolicy(_ALONE.model, model_decides=True, max_distinct=1 << 20)
    assert program.passed(wide, [0, 1, 0, 1]) == (True, False) * 2
    assert program.passed(wide, [0, 1, 0, 1], other=[3]) == (True, False, True, True)


def test_no_run_begins_where_it_ends_before_it_pays() -> None:
    """The second gap saves less than a run costs, and the third is too large."""
    program = _Program(10, 4_000, 5_000)
    policy = AdmissionPolicy(_ALONE.model, model_decides=True, max_distinct=4_500)
    assert program.passed(policy, [1, 2]) == (False, False)
    # A run from the first gap passes it.
    assert program.passed(policy, [0, 1, 2, 1]) == (True, True, False, False)


def test_a_gap_that_is_too_long_to_be_captured_is_not_admitted() -> None:
    empty = TracedPath(_CODE, _READ, ())
    assert admitted([empty], BytesReader({_CODE: _SYSCALL}), _ALONE) == (False,)
