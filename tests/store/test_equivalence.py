# SPDX-License-Identifier: GPL-2.0-only
"""Stored and moved translations compute what the program does, in an emulator."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from tests.store.sample import ABI, Machine, random_bases
from tests.translate import test_differential as differential
from tests.translate.machine import NAMES, Native, Translated, User, differences
from ubypass.abi import Abi, ExitReason, Translation
from ubypass.engine.build import Builder
from ubypass.process.maps import MemoryMap, VmArea
from ubypass.region.graph import Region
from ubypass.store.placement import NotShareable, placement_of
from ubypass.store.portable import make_portable, placed
from ubypass.store.wire import decoded, encoded
from ubypass.translate.translate import translate
from ubypass.verify.check import check

_SEEDS = 24
_STACK = 0x7FFF_0000_0000
_PAGE = 4096
_SMALL = replace(ABI, dispatch_size=16, dispatch_vector_size=24)


def _through_the_store(region: Region, abi: Abi, maps: MemoryMap) -> Translation:
    place = placement_of(region, maps)
    portable = make_portable(region, place, lambda moved: translate(moved, abi))
    found = decoded(encoded(portable))
    return placed(found, place.bases, region.sources)


def test_random_programs_do_not_see_a_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared: Counter[bool] = Counter()
    text = differential.TEXT
    area = VmArea(text, text + 0x10000, True, False, True, True, 0, 7, "/x", 1)

    def moved(region: Region, abi: Abi) -> Translation:
        try:
            found = _through_the_store(region, abi, MemoryMap((area,)))
        except NotShareable:
            shared[False] += 1
            return translate(region, abi)
        shared[True] += 1
        check(found, abi)
        return found

    monkeypatch.setattr(differential, "translate", moved)
    reasons: Counter[ExitReason] = Counter()
    for seed in range(_SEEDS):
        differential.compare(seed, reasons)
    assert shared[True] > 2 * _SEEDS
    assert shared[False] * 4 < shared[True]
    assert reasons[ExitReason.WORK] + reasons[ExitReason.DISPATCHED] > 0


@pytest.mark.parametrize(
    "bases",
    [
        random_bases(1),
        (0x7F00_0000_0000, 0x7F00_0100_0000),  # near: own code would use distances
        (0x7F00_0100_0000, 0x7F00_0000_0000),
        (0x40_0000, 0x7F00_0000_0000),  # a program that is not relocated
        (0x40_0000, 0x1000_0000),
    ],
)
@pytest.mark.parametrize("traces", [0, 2])
def test_two_files_wherever_they_are(bases: tuple[int, int], traces: int) -> None:
    machine = Machine(bases)
    region = Builder(_SMALL)(machine.profile(traces), machine).region
    translation = _through_the_store(region, _SMALL, machine.maps)
    check(translation, _SMALL)
    user, live = _user(machine), differential.live_flags(region)
    reasons, dispatched = set(), 0
    for calls in range(7):
        run = Translated(translation, user, _SMALL)
        outcome = run.run(machine.resume, calls, leave="before")
        flags = live.get(outcome.exit.user_ip)
        assert differences(outcome, Native(user, _SMALL), flags) == []
        reasons.add(outcome.exit.reason)
        dispatched += outcome.dispatched
    assert reasons == {ExitReason.WORK}
    assert dispatched == sum(range(7))


def _user(machine: Machine) -> User:
    """The program behind its first call, which has read 64 bytes."""
    program, library = machine.start & -_PAGE, machine.resume & -_PAGE
    slot = machine.read_data(machine.start + 0x3000, 8)
    start = machine.start - program
    pointer = (_STACK + 0x200).to_bytes(8, "little")
    data = bytearray(random.Random(1).randbytes(_PAGE))
    data[start + 0x108 : start + 0x110] = pointer
    stack = bytearray(_PAGE)
    stack[0x800:0x808] = machine.back.to_bytes(8, "little")
    memory = {
        program: machine.read(machine.start, _PAGE).ljust(_PAGE, b"\xcc"),
        library: bytes(0x000) + machine.read(library, _PAGE).ljust(_PAGE, b"\xcc"),
        program + 0x3000: bytes(start) + slot.ljust(_PAGE - start, b"\0"),
        program + 0x4000: bytes(data),
        _STACK: bytes(stack),
    }
    regs = dict.fromkeys(NAMES, 0) | {"rsp": _STACK + 0x800, "rbx": 50, "rax": 64}
    code = frozenset({program, library})
    return User(memory, regs, machine.resume, 0, _STACK, code=code)
