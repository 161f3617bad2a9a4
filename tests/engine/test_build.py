# SPDX-License-Identifier: GPL-2.0-only
"""From a profile to a verified translation, with the real translator."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

import pytest

from tests.engine.fakes import FakeDevice, FakeMemory
from ubypass.abi import Abi, ExitReason, SiteKey, Translation
from ubypass.device.types import Event, Path
from ubypass.device.uapi import EventType
from ubypass.engine import build
from ubypass.engine.build import Builder, make_spec
from ubypass.engine.built import NothingToBuild, Postponed, Reached, Refused
from ubypass.engine.profile import HotSite, Profile
from ubypass.engine.target import Target
from ubypass.process.status import ProcessId
from ubypass.region.graph import Region
from ubypass.region.reader import BytesReader, CodeReader
from ubypass.verify.errors import Rule, VerifyError

_START = 0x401000
_RESUME = 0x401002
# A loop around a call that its caller numbers: syscall; dec rbx; je +n;
# mov eax, 39; jmp back. The way out leads over 60 nops to getpid again.
_GETPID = bytes.fromhex("b827000000 0f05")
_LOOP = bytes.fromhex("0f05 48ffcb 7407 b827000000 ebf2") + b"\x90" * 60 + _GETPID


def _loop() -> BytesReader:
    return BytesReader({_START: _LOOP + b"\xc3"})


def _profile() -> Profile:
    return Profile(entries={SiteKey(_RESUME, 39): HotSite()})


def test_a_loop_becomes_one_dispatch_and_passes_the_verifier() -> None:
    built = Builder(Abi())(_profile(), _loop())
    assert [d.nr for d in built.translation.dispatches] == [39]
    assert [e.user_ip for e in built.translation.entries] == [_RESUME]
    assert built.instructions == 5  # not the long way out
    assert built.source_bytes >= 14


def test_a_region_that_reaches_sites_of_another_is_not_translated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # syscall; mov eax, 39; syscall; mov eax, 39; jmp back
    text = "0f05 b827000000 0f05 b827000000 ebf0"
    code = BytesReader({_START: bytes.fromhex(text)})
    entries = Builder(Abi())(_profile(), code).translation.entries
    mine, other = (entry.key for entry in entries)
    assert mine.ip == _RESUME
    away = SiteKey(0x5000, 39)
    profile = _profile().restricted_to({mine}, {other, away})
    monkeypatch.setattr("ubypass.engine.build.translate", None)
    with pytest.raises(Reached) as caught:
        Builder(Abi())(profile, code)
    assert caught.value.sites == {other}


def test_a_call_of_several_numbers_gets_a_dispatch_for_each() -> None:
    profile = _profile()
    code = BytesReader({_START: bytes.fromhex("0f05 48ffcb 89d8 ebf7")})
    for nr, times in ((39, 1), (1, 3), (12, 9), (0, 2)):
        profile.count_call(_RESUME, nr, times)  # brk is none of those that can be
    built = Builder(Abi())(profile, code)
    assert [d.nr for d in built.translation.dispatches] == [1, 39, 0]
    # Each has an entry, and all of them the same code.
    entries = built.translation.entries
    assert [e.key for e in entries] == [SiteKey(_RESUME, nr) for nr in (39, 0, 1)]
    assert len({e.code_offset for e in entries}) == 1


def test_a_region_ends_behind_one_of_several_calls_and_goes_on_behind_others() -> None:
    profile = _profile()
    code = BytesReader({_START: bytes.fromhex("0f05 48ffcb 89d8 ebf7")})
    for nr, times in ((232, 9), (39, 3), (0, 2)):
        profile.count_call(_RESUME, nr, times)
    on = Builder(Abi())(profile, code).translation
    assert {d.nr for d in on.dispatches} == {0, 39, 232}
    profile.set_barriers({SiteKey(_RESUME, 232)})
    ends = Builder(Abi())(profile, code).translation
    # It is dispatched all the same: that saves a transition.
    assert {d.nr for d in ends.dispatches} == {0, 39, 232}
    assert [e.key.nr for e in ends.entries] == [39, 0]
    # Its dispatch alone is followed by an exit.
    frontier = [e for e in ends.exits if e.reason is ExitReason.FRONTIER]
    assert [leave.user_ip for leave in frontier] == [_RESUME]
    assert not [e for e in on.exits if e.reason is ExitReason.FRONTIER]


def test_the_same_knowledge_gives_the_same_bytes() -> None:
    first = Builder(Abi())(_profile(), _loop())
    second = Builder(Abi())(_profile(), _loop())
    assert first.translation == second.translation


def test_a_base_that_holds_no_address_is_not_clamped() -> None:
    """nop; mov rax, [rdx+0x20000000]; mov eax, 39; jmp back to the call."""
    code = bytes.fromhex("0f05 90 488b8200000020 b827000000 ebef")
    access, rdx = _START + 3, 2
    known = _profile()
    first = Builder(Abi())(known, BytesReader({_START: code})).translation
    assert dict(first.anchored)[access] >> rdx & 1
    nr = int(ExitReason.FAULT)
    event = Event(EventType.MISS, 1, nr=nr, ip=access, target=1 << rdx)
    assert [known.add_event(event) for _ in range(4)] == [False, False, True, False]
    second = Builder(Abi())(known, BytesReader({_START: code})).translation
    assert second != first
    assert access not in dict(second.anchored)
    child = replace(known.inherited(), entries=known.entries)
    assert Builder(Abi())(child, BytesReader({_START: code})).translation == second


def test_the_sample_for_warming_up_is_a_real_region() -> None:
    Builder(Abi()).warm_up()


def test_without_hot_sites_there_is_nothing_to_build() -> None:
    with pytest.raises(NothingToBuild):
        Builder(Abi())(Profile(), _loop())
    with pytest.raises(NothingToBuild):
        Builder(Abi())(Profile(entries={SiteKey(0x9000, 39): HotSite()}), _loop())


def test_without_a_call_in_reach_a_region_shows_the_way() -> None:
    """Its misses tell where the program goes; without one nothing would."""
    code = b"\x0f\x05" + b"\x90" * 200 + _GETPID
    built = Builder(Abi())(_profile(), BytesReader({_START: code}))
    assert not built.translation.dispatches
    assert [e.user_ip for e in built.translation.entries] == [_RESUME]
    reasons = {leave.reason for leave in built.translation.exits}
    assert ExitReason.FRONTIER in reasons


def test_samples_lead_along_a_long_gap() -> None:
    code = b"\x0f\x05" + b"\x90" * 200 + _GETPID + b"\xc3"
    profile = _profile()
    profile.add_samples({_START + n: 1 for n in range(20, 200, 20)})
    built = Builder(Abi())(profile, BytesReader({_START: code}))
    assert [d.nr for d in built.translation.dispatches] == [39]


def test_stacks_at_misses_tell_where_returns_go() -> None:
    """The resume address is in a callee; its stack was not recorded."""
    callee = bytes.fromhex("0f05 90 c3")
    caller = bytes.fromhex("e8fbefffff") + bytes.fromhex("b827000000 0f05 ebf2")
    code = {_START: callee, _START + 0x1000: caller}
    profile = _profile()
    without = Builder(Abi())(profile, BytesReader(code))
    assert not without.translation.dispatches
    profile.miss_stacks = {_START + 2: (_START + 0x1005,)}
    built = Builder(Abi())(profile, BytesReader(code))
    assert [d.nr for d in built.translation.dispatches] != []


def test_a_region_that_does_not_fit_is_refused_with_a_reason() -> None:
    with pytest.raises(Refused, match="cannot be translated"):
        Builder(Abi(max_code=64))(_profile(), _loop())


def test_side_paths_are_left_out_before_traced_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    side = b"\x90" * 10 + bytes.fromhex("ebed")  # and back to mov eax, 39
    code = BytesReader({_START: _LOOP[:14] + side})
    profile = _profile()
    path = (_RESUME, 0x401005, 0x401007, 0x40100C, _START)
    profile.add_path(Path(_RESUME, 39, path))
    assert Builder(Abi())(profile, code).instructions == 5 + 11
    monkeypatch.setattr(build, "_ASIDES", ((24, 8), (3, 8)))
    assert Builder(Abi())(profile, code).instructions == 5


def test_an_entry_that_was_not_traced_takes_no_paths_from_the_others() -> None:
    other = _RESUME + 0x1000
    code = b"\x0f\x05" + b"\x90" * 100 + _GETPID + b"\xc3"
    reader = BytesReader({_START: code, _START + 0x1000: code})
    profile = _profile()
    profile.add_path(Path(_RESUME, 39, tuple(range(_RESUME, _RESUME + 101))))
    profile.add_entry(SiteKey(other, 39))
    built = Builder(Abi())(profile, reader)
    # Without a path a search would have to go further.
    assert len(built.translation.dispatches) == 1
    assert {entry.user_ip for entry in built.translation.entries} >= {_RESUME, other}


def test_an_entry_that_was_not_traced_uses_the_paths_of_the_others() -> None:
    code = b"\x0f\x05" + b"\x90" * 100 + _GETPID + b"\xc3"
    shared = bytes.fromhex("0f05 e9fbefffff")  # jmp into the code of the other one
    reader = BytesReader({_START: code, _START + 0x1000: shared})
    profile = _profile()
    profile.add_path(Path(_RESUME, 39, tuple(range(_RESUME, _RESUME + 101))))
    profile.remove_entry(SiteKey(_RESUME, 39))
    profile.add_entry(SiteKey(_START + 0x1002, 39))
    built = Builder(Abi())(profile, reader)
    assert [dispatch.nr for dispatch in built.translation.dispatches] == [39]


def test_the_verifier_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(translation: Translation, abi: Abi) -> None:
        raise VerifyError(Rule.ENCODING, "no")

    monkeypatch.setattr(build, "check", refuse)
    with pytest.raises(Refused, match="verifier refused"):
        Builder(Abi())(_profile(), _loop())


def test_what_the_verifier_cannot_follow_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Builder(Abi())(_profile(), _loop()).doubt == ""
    refusals = [VerifyError(Rule.POINTER, "no")]

    def refuse_once(translation: Translation, abi: Abi) -> None:
        if refusals:
            raise refusals.pop()

    monkeypatch.setattr(build, "check", refuse_once)
    built = Builder(Abi())(_profile(), _loop())
    assert built.doubt == "rule 'pointer': translated again with more checks"
    assert built.translation.entries


def test_effort_finds_calls_that_are_farther_away() -> None:
    code = b"\x0f\x05" + b"\x90" * 30 + b"\x85\xc0\x74\x00" * 40 + _GETPID
    reader = BytesReader({_START: code})
    profile = _profile()
    profile.frontiers = {_START + 32: 8}
    lazy = Builder(Abi())(profile, reader)
    profile.effort = 1
    eager = Builder(Abi())(profile, reader)
    assert lazy.instructions < 32
    assert eager.instructions == 30 + 80 + 2
    assert not lazy.translation.dispatches
    assert eager.translation.dispatches


def test_the_specification_has_hot_targets_first_and_every_stack() -> None:
    profile = Profile(
        entries={
            SiteKey(0x10, 1): HotSite([(7, 8), (9,)]),
            SiteKey(0x20, 2): HotSite(),
        },
        frontiers={0x30: 3, 0x31: 1},
        branch_targets={0x40: {0x50: 1, 0x60: 9, 0x48: 1}},
    )
    spec = make_spec(profile)
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


class _Shared:
    """Translations of other machines; ``answer``: what is found."""

    def __init__(self, found: Translation | None = None, seconds: float = 0.0) -> None:
        self.found, self.seconds = found, seconds
        self.refused: list[str] = []
        self.offered: list[bool] = []

    def exclusive(self) -> AbstractContextManager[None]:
        return nullcontext()

    def find(
        self, region: Region, reader: CodeReader
    ) -> tuple[Translation | None, float]:
        return self.found, self.seconds

    def refuse(self, region: Region, reason: str) -> None:
        self.refused.append(reason)

    def offer(self, region: Region, *, careful: bool) -> None:
        self.offered.append(careful)


def test_a_translation_of_another_machine_is_verified_and_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Builder(Abi())(_profile(), _loop()).translation
    shared = _Shared(replace(own))
    monkeypatch.setattr(build, "translate", None)
    verified = []
    check = build.check
    monkeypatch.setattr(
        build, "check", lambda found, abi: verified.append(found) or check(found, abi)
    )
    built = Builder(Abi(), shared)(_profile(), _loop())
    assert built.translation is shared.found
    assert verified == [shared.found]
    assert (shared.refused, shared.offered) == ([], [])


def test_an_unsafe_translation_of_another_machine_is_refused() -> None:
    own = Builder(Abi())(_profile(), _loop()).translation
    unsafe = replace(own, code=b"\xf4" + own.code[1:])  # hlt
    shared = _Shared(unsafe)
    built = Builder(Abi(), shared)(_profile(), _loop())
    assert built.translation == own
    assert len(shared.refused) == 1
    assert shared.refused[0].startswith("the verifier refused it: ")
    assert shared.offered == [False]


def test_what_no_machine_has_is_built_and_offered() -> None:
    shared = _Shared()
    own = Builder(Abi(), shared)(_profile(), _loop()).translation
    assert own == Builder(Abi())(_profile(), _loop()).translation
    assert shared.offered == [False]


def test_what_another_machine_makes_is_waited_for() -> None:
    with pytest.raises(Postponed) as caught:
        Builder(Abi(), _Shared(seconds=0.5))(_profile(), _loop())
    assert caught.value.seconds == 0.5


def test_warming_up_asks_nobody() -> None:
    shared = _Shared()
    Builder(Abi(), shared).warm_up()
    assert shared.offered == []
