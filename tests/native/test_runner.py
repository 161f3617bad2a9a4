# SPDX-License-Identifier: GPL-2.0-only
"""The runner finds what differs and nothing else."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

import pytest

from tests.native.samples import calls_of, case_of, random_program
from ubypass.abi import ExitReason
from ubypass.errors import UbError
from ubypass.native.case import Area, Kind, Layout
from ubypass.native.runner import run

POINTER = (Kind.POINTER, 0)
BIASED = (Kind.POINTER, 0x70000000)
# Where 32 bits reach.
_LOW = 0x4234_0000
_DEAD = "mov r11, [rdi]; popcnt rax, rbx"


def test_random_programs_are_translated_exactly() -> None:
    reasons: Counter[ExitReason] = Counter()
    for seed in range(12):
        found = run(random_program(seed), 200, seed)
        assert found.failure is None, f"seed {seed}: {found.failure}"
        assert found.executions == 200
        reasons.update(found.reasons)
    # Leaving at once for a dull reason would prove nothing.
    assert reasons[ExitReason.WORK] > 200
    assert reasons[ExitReason.DISPATCHED] > 200
    assert reasons[ExitReason.FAULT] > 200
    assert reasons[ExitReason.BUDGET] > 0


def test_one_instruction_that_makes_several_calls() -> None:
    """Any of 0 to 3 comes, with flags and an upper half that are whatever they are."""
    missed = []
    for numbers in ((3,), (0, 3), (3, 1, 0), (0, 1, 3, 17, 39)):
        case = calls_of("and eax, 3; bts rax, 33; cmp rbx, rdx", numbers)
        assert {d.nr for d in case.translation.dispatches} == set(numbers)
        found = run(case, 3000, 1)
        assert found.failure is None
        missed.append(found.reasons[ExitReason.SYSCALL])
    # Whatever is expected goes on; 2 never is.
    assert missed[0] > 2500
    assert missed[0] > missed[1] > missed[2] == missed[3] > 500


@pytest.mark.parametrize(
    ("source", "register", "kind"),
    [
        # Negative, and the displacement makes up for it.
        ("at: mov rax, [rdx+0x70000000]; add [rdx+0x70000008], rax", "rdx", BIASED),
        ("at: cmp rcx, rdi; mov rax, [rbx+0x70000000]; setb cl", "rbx", BIASED),
        # A number on the way into a loop.
        (
            "mov ecx, 3; at: test bpl, 1; jne 1f; mov rax, [rbp]; 1: dec ecx; jne at",
            "rbp",
            (Kind.ANY, 0),
        ),
        # Added to what is small.
        (
            "mov r8d, 0x70000000; and edi, 255; or r8d, edi; at: mov rax, [rsi+r8]",
            "rsi",
            BIASED,
        ),
    ],
)
def test_who_knows_that_a_register_holds_no_address_leaves_for_faults_only(
    source: str, register: str, kind: tuple[Kind, int]
) -> None:
    kinds = {register: kind, "rdi": (Kind.SMALL, 0)}
    before = run(case_of(source, text=_LOW, **kinds), 2000, 5)
    assert before.failure is None
    assert before.careless > 100
    known = case_of(source, text=_LOW, nonpointers={"at": register}, **kinds)
    found = run(known, 2000, 5)
    assert found.failure is None
    assert found.careless == found.needless == 0
    assert found.reasons[ExitReason.FAULT] > 50
    # Up to the call, which is another one.
    left = ExitReason.SYSCALL
    assert found.reasons[left] > before.reasons.get(left, 0) + 100


@pytest.mark.parametrize(
    ("right", "wrong", "what"),
    [
        ("add rdx, rsi", "sub rdx, rsi", "rdx is "),
        ("lea rbx, [rbx+1]", "add rbx, 1", "flags are "),
        ("paddb xmm3, xmm4", "paddw xmm3, xmm4", "vector state differs"),
        ("mov [rdi], rsi", "mov [rdi], esi; nop", "memory at "),
        ("mov rdx, [rdi]", "or rdx, [rdi]", "rdx is "),
        ("jz 1f; nop; 1:", "jz 1f; hlt; 1:", ""),
        ("jmp rdi", "jmp rsi", "wants to go to"),
        ("mov rdx, [rdi]", "mov rdx, [rdi+0x100000]", "where the original does not"),
        # Nobody reads them, but they are said to be right.
        (f"cmp rdx, rsi; {_DEAD}", f"cmp rdx, rdx; {_DEAD}", "flags are "),
    ],
)
def test_a_wrong_translation_is_found(right: str, wrong: str, what: str) -> None:
    found = run(case_of(right, rdi=POINTER), 300, 1)
    assert found.failure is None, str(found.failure)
    found = run(case_of(right, other=wrong, rdi=POINTER), 300, 1)
    if what:
        assert found.mismatches
        assert what in str(found.failure)
    else:
        # Leaving early is exact.
        assert found.failure is None


def test_flags_that_nobody_reads_are_shown_at_a_fault() -> None:
    case = case_of(
        "sub edx, edx; dec r9d; mov r11, [rdi]; mov rdx, [r11]; popcnt rax, rbx",
        rdi=POINTER,
    )
    assert all(case.translation.exact)
    found = run(case, 1000, 5)
    assert found.failure is None, str(found.failure)
    assert found.reasons[ExitReason.FAULT] > 100
    assert found.inexact == {}
    # What set them was in memory: they are right only while nothing was clamped.
    case = case_of("cmp [rdi], rdx; mov rcx, [rsi]; popcnt rax, rbx", rdi=POINTER)
    assert not all(case.translation.exact)
    found = run(case, 1000, 5)
    assert found.failure is None, str(found.failure)
    assert found.inexact[ExitReason.FAULT] > 10


def test_the_same_seed_runs_the_same() -> None:
    case = random_program(3)
    assert run(case, 100, 5) == run(case, 100, 5)
    assert run(case, 100, 5).reasons != run(case, 100, 6).reasons


def test_faults_are_those_of_the_original() -> None:
    found = run(case_of("mov rdx, [rdi]", rdi=POINTER), 3000, 2)
    assert found.failure is None, str(found.failure)
    assert found.faults + found.careful > 100
    assert found.needless == 0
    found = run(case_of("mov ecx, edx; div rcx"), 1000, 2)
    assert found.failure is None, str(found.failure)
    assert found.faults > 10


def test_nothing_below_the_limit_is_taken_for_memory_beyond_it() -> None:
    """A pointer to nowhere minus something must not become a pointer to the last
    page of user space, where a stack may be."""
    case = case_of("mov rdx, [r10-8]", r10=(Kind.POINTER, 0))
    found = run(case, 5000, 3)
    assert found.failure is None, str(found.failure)
    assert found.faults > 100


def test_what_faults_without_a_fixup_is_a_crash() -> None:
    case = case_of("mov rdx, [rdi]", rdi=POINTER)
    bare = replace(case.translation, faults=())
    found = run(replace(case, translation=bare), 2000, 4)
    assert found.mismatches
    assert "crashes" in str(found.failure)


def test_memory_that_is_taken() -> None:
    case = random_program(1)
    here = id(case) & -4096
    layout = Layout(here, here + 0x10_0000, here + 0x20_0000)
    areas = (*case.areas[:1], Area(here, 4096, write=True))
    taken = replace(case, areas=areas, layout=layout)
    with pytest.raises(UbError, match="in use"):
        run(taken, 1)
    # And all is well afterwards.
    assert run(case, 10).failure is None


def test_processes_do_not_share_their_text() -> None:
    one, other = case_of("add rdx, rsi"), case_of("sub rdx, rsi; nop; nop")
    assert run(one, 10).failure is None
    child = os.fork()
    if not child:
        # pytest must not notice.
        for _ in range(100):
            run(other, 20)
        os._exit(0)
    wrong = [report.failure for report in (run(one, 20) for _ in range(100))]
    assert os.waitpid(child, 0)[1] == 0
    assert not any(wrong)
