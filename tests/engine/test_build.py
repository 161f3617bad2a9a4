# SPDX-License-Identifier: GPL-2.0-only
"""From knowledge to a verified translation, with the real translator."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from tests.engine.fakes import FakeDevice, FakeMemory
from ubypass.abi import Abi, ExitReason, Translation
from ubypass.device.types import Event
from ubypass.device.uapi import EventType
from ubypass.engine import build
from ubypass.engine.build import Builder, make_spec
from ubypass.engine.built import NothingToBuild, Refused
from ubypass.engine.knowledge import HotSite, Knowledge
from ubypass.engine.target import Target
from ubypass.process.status import ProcessId
from ubypass.region.reader import BytesReader
from ubypass.verify.errors import Rule, VerifyError

_START = 0x401000
_RESUME = 0x401002
# A loop around a call that its caller numbers: syscall; dec rbx; je +n;
# mov eax, 39; jmp back. The way out leads over 60 nops to getpid again.
_GETPID = bytes.fromhex("b827000000 0f05")
_LOOP = bytes.fromhex("0f05 48ffcb 7407 b827000000 ebf2") + b"\x90" * 60 + _GETPID


def _loop() -> BytesReader:
    return BytesReader({_START: _LOOP + b"\xc3"})


def _knowledge() -> Knowledge:
    return Knowledge(entries={_RESUME: HotSite(39)})


def test_a_loop_becomes_one_dispatch_and_passes_the_verifier() -> None:
    built = Builder(Abi())(_knowledge(), _loop())
    assert [d.nr for d in built.translation.dispatches] == [39]
    assert [e.user_ip for e in built.translation.entries] == [_RESUME]
    assert built.instructions == 5  # not the long way out
    assert built.source_bytes >= 14


def test_a_call_of_several_numbers_gets_a_dispatch_for_each() -> None:
    knowledge = _knowledge()
    code = BytesReader({_START: bytes.fromhex("0f05 48ffcb 89d8 ebf7")})
    for nr, times in ((39, 1), (1, 3), (12, 9), (0, 2)):
        knowledge.number(_RESUME, nr, times)  # brk is none of those that can be
    built = Builder(Abi())(knowledge, code)
    assert [d.nr for d in built.translation.dispatches] == [1, 39, 0]
    assert [e.user_ip for e in built.translation.entries] == [_RESUME]


def test_the_same_knowledge_gives_the_same_bytes() -> None:
    first = Builder(Abi())(_knowledge(), _loop())
    second = Builder(Abi())(_knowledge(), _loop())
    assert first.translation == second.translation


def test_a_base_that_holds_no_address_is_not_clamped() -> None:
    """nop; mov rax, [rdx+0x20000000]; mov eax, 39; jmp back to the call."""
    code = bytes.fromhex("0f05 90 488b8200000020 b827000000 ebef")
    access, rdx = _START + 3, 2
    known = _knowledge()
    first = Builder(Abi())(known, BytesReader({_START: code})).translation
    assert dict(first.anchored)[access] >> rdx & 1
    nr = int(ExitReason.FAULT)
    event = Event(EventType.MISS, 1, nr=nr, ip=access, target=1 << rdx)
    assert [known.learn(event) for _ in range(4)] == [False, False, True, False]
    second = Builder(Abi())(known, BytesReader({_START: code})).translation
    assert second != first
    assert access not in dict(second.anchored)
    child = replace(known.inherited(), entries=known.entries)
    assert Builder(Abi())(child, BytesReader({_START: code})).translation == second


def test_the_sample_for_warming_up_is_a_real_region() -> None:
    Builder(Abi()).warm_up()


def test_without_hot_sites_there_is_nothing_to_build() -> None:
    with pytest.raises(NothingToBuild):
        Builder(Abi())(Knowledge(), _loop())
    with pytest.raises(NothingToBuild):
        Builder(Abi())(Knowledge(entries={0x9000: HotSite(39)}), _loop())


def test_without_a_call_in_reach_a_region_shows_the_way() -> None:
    """Its misses tell where the program goes; without one nothing would."""
    code = b"\x0f\x05" + b"\x90" * 200 + _GETPID
    built = Builder(Abi())(_knowledge(), BytesReader({_START: code}))
    assert not built.translation.dispatches
    assert [e.user_ip for e in built.translation.entries] == [_RESUME]
    reasons = {leave.reason for leave in built.translation.exits}
    assert ExitReason.FRONTIER in reasons


def test_samples_lead_along_a_long_gap() -> None:
    code = b"\x0f\x05" + b"\x90" * 200 + _GETPID + b"\xc3"
    knowledge = _knowledge()
    knowledge.add_samples({_START + n: 1 for n in range(20, 200, 20)})
    built = Builder(Abi())(knowledge, BytesReader({_START: code}))
    assert [d.nr for d in built.translation.dispatches] == [39]


def test_stacks_at_misses_tell_where_returns_go() -> None:
    """The resume address is in a callee; its stack was not recorded."""
    callee = bytes.fromhex("0f05 90 c3")
    caller = bytes.fromhex("e8fbefffff") + bytes.fromhex("b827000000 0f05 ebf2")
    code = {_START: callee, _START + 0x1000: caller}
    knowledge = _knowledge()
    without = Builder(Abi())(knowledge, BytesReader(code))
    assert not without.translation.dispatches
    knowledge.missed = {_START + 2: (_START + 0x1005,)}
    built = Builder(Abi())(knowledge, BytesReader(code))
    assert [d.nr for d in built.translation.dispatches] != []


def test_a_region_that_does_not_fit_is_refused_with_a_reason() -> None:
    with pytest.raises(Refused, match="cannot be translated"):
        Builder(Abi(max_code=64))(_knowledge(), _loop())


def test_the_verifier_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(translation: Translation, abi: Abi) -> None:
        raise VerifyError(Rule.ENCODING, "no")

    monkeypatch.setattr(build, "check", refuse)
    with pytest.raises(Refused, match="verifier refused"):
        Builder(Abi())(_knowledge(), _loop())


def test_effort_finds_calls_that_are_farther_away() -> None:
    code = b"\x0f\x05" + b"\x90" * 30 + b"\x85\xc0\x74\x00" * 40 + _GETPID
    reader = BytesReader({_START: code})
    knowledge = _knowledge()
    knowledge.starts = {_START + 32: 8}
    lazy = Builder(Abi())(knowledge, reader)
    knowledge.effort = 1
    eager = Builder(Abi())(knowledge, reader)
    assert lazy.instructions < 32
    assert eager.instructions == 30 + 80 + 2
    assert not lazy.translation.dispatches
    assert eager.translation.dispatches


def test_the_specification_has_hot_targets_first_and_every_stack() -> None:
    knowledge = Knowledge(
        entries={0x10: HotSite(1, [(7, 8), (9,)]), 0x20: HotSite(2)},
        starts={0x30: 3, 0x31: 1},
        targets={0x40: {0x50: 1, 0x60: 9, 0x48: 1}},
    )
    spec = make_spec(knowledge)
    assert [(e.resume, e.nr, e.stack) for e in spec.entries] == [
        (0x10, 1, (7, 8)),
        (0x10, 1, (9,)),
        (0x20, 2, ()),
    ]
    assert spec.seeds == (0x30, 0x60)
    assert spec.targets == {0x40: (0x60, 0x48, 0x50)}


def test_events_grow_a_region_until_nothing_more_is_found() -> None:
    """The engine's whole way, with a played module and real translations."""
    device = FakeDevice()
    target = Target(
        ProcessId(42, 1, "loop"),
        device.attach(42),
        device,
        FakeMemory({_START: _LOOP + b"\xc3"}),
        Builder(device.info()),
    )
    hot = Event(EventType.HOT, proc=1, nr=39, ip=_RESUME)
    target.on_event(hot, 0.0)
    due = target.deadline
    while due is not None and due < 100.0:
        now = due
        target.tick(now, partial(float, now))
        # The program takes every way out that code might be missing from, as often
        # as the module reports it.
        miss = Event(EventType.MISS, 1, region=target.region)
        for leave in device.loads[-1].translation.exits:
            if leave.reason is ExitReason.FRONTIER:
                event = replace(miss, nr=int(leave.reason), ip=leave.user_ip)
                for _ in range(16):
                    target.on_event(event, now)
        due = target.deadline
    first, last = device.loads[0].translation, device.loads[-1].translation
    assert (len(first.dispatches), len(last.dispatches)) == (1, 2)
    assert [load.replace for load in device.loads] == list(range(len(device.loads)))
    device.close()
