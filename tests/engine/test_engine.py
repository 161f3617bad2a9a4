# SPDX-License-Identifier: GPL-2.0-only
"""The loop: who gets which event, and what happens when things break."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.engine.fakes import FakeDevice, FakeMemory
from tests.open_files import open_files
from ubypass.abi import Entry, ExitReason, Source, Translation
from ubypass.device.types import Event
from ubypass.device.uapi import EventType
from ubypass.engine.built import Built
from ubypass.engine.engine import Engine
from ubypass.engine.ports import MemoryLike
from ubypass.engine.profile import Profile
from ubypass.engine.regions import Caps
from ubypass.errors import UbError
from ubypass.process.status import ProcessId, descendants, identify
from ubypass.region.graph import Region


@pytest.fixture
def device() -> Iterator[FakeDevice]:
    device = FakeDevice()
    yield device
    device.close()


def _build(profile: Profile, memory: MemoryLike) -> Built:
    entries = tuple(Entry(ip, 0, nr) for ip, nr in profile.entries)
    sources = (Source(0x1000, b"\x0f\x05"),)
    translation = Translation(b"\xcc", entries, (), (), (), (), sources, 1)
    return Built(Region({}, (), ()), translation)


def _engine(
    device: FakeDevice,
    log: list[str],
    build: Callable[[Profile, MemoryLike], Built] = _build,
) -> Engine:
    return Engine(
        device,
        build=build,
        open_memory=lambda pid: FakeMemory({0x1000: bytes(4096)}),
        log=log.append,
    )


def _until(condition: Callable[[], bool], seconds: float = 5.0) -> Callable[[], bool]:
    end = time.monotonic() + seconds

    def check() -> bool:
        assert time.monotonic() < end, "took too long"
        return condition()

    return check


def test_what_is_trusted_is_attached_and_built_as_such(device: FakeDevice) -> None:
    made: list[str] = []

    def build(profile: Profile, memory: MemoryLike) -> Built:
        made.append("plain")
        return _build(profile, memory)

    def build_trusted(profile: Profile, memory: MemoryLike) -> Built:
        made.append("trusted")
        return _build(profile, memory)

    engine = Engine(
        device,
        build=build,
        build_trusted=build_trusted,
        open_memory=lambda pid: FakeMemory({0x1000: bytes(4096)}),
    )
    before = engine.attach(ProcessId(1001, 1, "a"))
    engine.trust_if(lambda pid: pid == 1002)
    second, third = (engine.attach(ProcessId(pid, 1, "b")) for pid in (1002, 1003))
    assert [t.trusted for t in (before, second, third)] == [False, True, False]
    assert [t.summary().trusted for t in (before, second)] == [False, True]
    assert device.trusted == {1002}
    device.send(Event(EventType.HOT, proc=2, ip=0x1002))
    engine.run(_until(lambda: bool(device.loads)))
    assert made == ["trusted"]
    device.send(Event(EventType.HOT, proc=3, ip=0x1002))
    engine.run(_until(lambda: len(device.loads) == 2))
    assert made == ["trusted", "plain"]
    engine.close()


def test_without_a_builder_for_them_none_is_trusted(device: FakeDevice) -> None:
    engine = _engine(device, [])
    engine.trust_if(lambda pid: True)
    assert not engine.attach(ProcessId(1001, 1, "a")).trusted
    assert not device.trusted
    engine.close()


def test_events_reach_the_process_they_are_about(device: FakeDevice) -> None:
    engine = _engine(device, [])
    first = engine.attach(ProcessId(1001, 1, "a"))
    second = engine.attach(ProcessId(1002, 1, "b"))
    device.send(
        Event(EventType.HOT, proc=2, ip=0x1002),
        Event(EventType.HOT, proc=77, ip=0x1002),  # detached long ago
    )
    engine.run(_until(lambda: bool(device.loads)))
    assert (first.region, second.region) == (0, 1)
    engine.close()
    assert sorted(device.detached) == [1, 2]


def test_a_process_that_is_gone_leaves_its_figures(device: FakeDevice) -> None:
    engine = _engine(device, [])
    engine.attach(ProcessId(1001, 1, "a"))
    device.send(Event(EventType.HOT, proc=1, ip=0x1002), Event(EventType.GONE, proc=1))
    engine.run(_until(lambda: not engine.targets))
    (summary,) = engine.summaries()
    assert (summary.pid, summary.alive) == (1001, False)
    assert device.detached == [1]
    engine.close()


def test_the_end_of_a_process_is_noticed_without_the_device(
    device: FakeDevice,
) -> None:
    engine = _engine(device, [])
    with subprocess.Popen(["sleep", "60"]) as child:
        engine.watch_end(engine.attach(identify(child.pid)))
        engine.step(0)
        assert engine.targets
        child.kill()
        engine.run(_until(lambda: not engine.targets))
    engine.close()


def test_a_bug_with_an_event_leaves_the_program_native(
    device: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    engine = _engine(device, log)
    first = engine.attach(ProcessId(1001, 1, "a"))
    engine.attach(ProcessId(1002, 1, "b"))

    def broken(event: Event, now: float) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(first, "on_event", broken)
    device.send(
        Event(EventType.HOT, proc=1, ip=0x1002), Event(EventType.HOT, proc=2, ip=0x1002)
    )
    engine.run(_until(lambda: bool(device.loads)))
    assert [target.region for target in engine.targets] == [0, 1]
    assert log == ["process 1001 (a): internal error, detached: ZeroDivisionError: oh"]
    engine.close()


def test_a_bug_of_ours_leaves_the_program_native(device: FakeDevice) -> None:
    calls = 0

    def broken(profile: Profile, memory: MemoryLike) -> Built:
        nonlocal calls
        calls += 1
        raise ZeroDivisionError("oh")

    log: list[str] = []
    engine = _engine(device, log, broken)
    target = engine.attach(ProcessId(1001, 1, "a"))
    device.send(Event(EventType.HOT, proc=1, ip=0x1002))
    engine.run(_until(lambda: bool(log)))
    device.send(Event(EventType.HOT, proc=1, ip=0x1004))
    engine.step(0.1)
    engine.step(0)
    assert calls == 1
    assert target in engine.targets
    assert device.loads == []
    assert log == ["process 1001 (a): internal error, detached: ZeroDivisionError: oh"]
    engine.close()


def test_memory_is_opened_of_what_is_attached(device: FakeDevice) -> None:
    """Attaching waits for the exec; the memory before it is that of the parent."""

    def opened(pid: int) -> FakeMemory:
        assert list(device.attached.values()) == [pid]
        return FakeMemory()

    engine = Engine(device, build=_build, open_memory=opened)
    assert engine.attach(ProcessId(1001, 1, "a"))
    engine.close()


def test_what_cannot_be_attached_is_not_opened(device: FakeDevice) -> None:
    opened: list[int] = []

    def note(pid: int) -> FakeMemory:
        opened.append(pid)
        return FakeMemory()

    engine = Engine(device, build=_build, open_memory=note)

    def fail(pid: int, *, children: bool = False, trusted: bool = False) -> int:
        raise OSError

    device.attach = fail  # type: ignore[method-assign]
    with pytest.raises(OSError):  # noqa: PT011
        engine.attach(ProcessId(1001, 1, "a"))
    assert opened == []
    assert not engine.targets
    engine.close()


def test_what_cannot_be_read_is_detached(device: FakeDevice) -> None:
    def refuse(pid: int) -> FakeMemory:
        raise UbError(f"cannot read {pid}")

    engine = Engine(device, build=_build, open_memory=refuse)
    with pytest.raises(UbError, match="cannot read 1001"):
        engine.attach(ProcessId(1001, 1, "a"))
    assert device.detached == [1]
    assert not engine.targets
    engine.close()


def _family(
    device: FakeDevice, log: list[str]
) -> tuple[Engine, subprocess.Popen[bytes]]:
    """An engine that follows a shell with one child."""
    shell = subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE
    )
    assert shell.stdout is not None
    shell.stdout.readline()
    # The shell may say so before its child runs another program.
    deadline = time.monotonic() + 10
    while [identify(pid).name for pid in descendants(shell.pid)] != ["sleep"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    engine = _engine(device, log)
    engine.attach(identify(shell.pid), children=True)
    return engine, shell


def _end(engine: Engine, *shells: subprocess.Popen[bytes]) -> None:
    engine.close()
    for shell in shells:
        for pid in (*descendants(shell.pid), shell.pid):
            os.kill(pid, signal.SIGKILL)
        shell.communicate()


def test_children_that_are_there_are_attached(device: FakeDevice) -> None:
    log: list[str] = []
    engine, shell = _family(device, log)
    try:
        engine.run(_until(lambda: len(engine.targets) == 2))
        (child,) = descendants(shell.pid)
        assert list(device.attached.values()) == [shell.pid, child]
        assert device.followed == {shell.pid, child}
        assert log == [f"attached to its child {child} (sleep)"]
    finally:
        _end(engine, shell)


def test_so_are_those_that_come(device: FakeDevice) -> None:
    engine, shell = _family(device, [])
    later = subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE)
    try:
        device.send(Event(EventType.FORK, 1, target=later.pid))
        engine.run(_until(lambda: len(engine.targets) == 3))
        # Heard of twice, attached once.
        device.send(Event(EventType.EXEC, 1, target=later.pid))
        engine.step(0.0)
        engine.run(_until(lambda: engine.timeout is None))
        assert list(device.attached.values()).count(later.pid) == 1
    finally:
        _end(engine, shell, later)


def test_it_is_not_over_while_a_child_waits(device: FakeDevice) -> None:
    """A server may replace itself while the engine is busy."""
    first, later = (
        subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE) for _ in range(2)
    )
    engine = _engine(device, [])
    try:
        target = engine.attach(identify(first.pid), children=True)
        engine.watch_end(target)
        assert not engine.is_over
        device.send(Event(EventType.FORK, 1, target=later.pid))
        first.kill()
        first.wait()
        engine.run(_until(lambda: not engine.targets))
        assert not engine.is_over
        engine.run(_until(lambda: bool(engine.targets)))
        assert engine.targets[0].process.pid == later.pid
        later.kill()
        later.wait()
        engine.run(_until(lambda: engine.is_over))
        assert not engine.targets
    finally:
        engine.close()
        for each in first, later:
            each.kill()
            each.communicate()


def test_one_that_runs_another_program_is_attached_again(device: FakeDevice) -> None:
    engine, shell = _family(device, [])
    try:
        engine.run(_until(lambda: len(engine.targets) == 2))
        (child,) = descendants(shell.pid)
        device.send(Event(EventType.GONE, 2))
        engine.run(_until(lambda: len(device.attached) == 3))
        assert device.attached[3] == child
    finally:
        _end(engine, shell)


def test_forked_children_know_what_their_kin_know(device: FakeDevice) -> None:
    engine, shell = _family(device, [])
    later = subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE)
    try:
        engine.run(_until(lambda: len(engine.targets) == 2))
        nr = int(ExitReason.JUMP_MISS)
        miss = Event(EventType.MISS, 2, nr=nr, ip=0x1100, target=0x1200)
        device.send(miss, Event(EventType.FORK, 1, target=later.pid))
        engine.run(_until(lambda: len(engine.targets) == 3))
        assert engine.targets[2].profile.branch_targets == {0x1100: {0x1200: 1}}
        assert engine.targets[2].profile.entries == {}
        assert len({id(target.history) for target in engine.targets}) == 1
    finally:
        _end(engine, shell, later)


def test_one_born_by_a_process_that_was_never_attached(device: FakeDevice) -> None:
    """As daemons are, whose parents end at once."""
    engine = _engine(device, [])
    later = subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE)
    try:
        device.send(Event(EventType.FORK, 77, target=later.pid))
        engine.run(_until(lambda: len(engine.targets) == 1))
        assert device.followed == {later.pid}
    finally:
        engine.close()
        later.kill()
        later.communicate()


def test_after_a_loss_of_events_children_are_looked_for(device: FakeDevice) -> None:
    log: list[str] = []
    shell = subprocess.Popen(
        ["sh", "-c", "read line; sleep 60 & echo; wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    engine = _engine(device, log)
    try:
        engine.attach(identify(shell.pid), children=True)
        engine.step(0.2)
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(b"\n")
        shell.stdin.flush()
        shell.stdout.readline()
        device.send(Event(EventType.LOST, 0, target=3))
        engine.run(_until(lambda: len(engine.targets) == 2))
    finally:
        _end(engine, shell)


def test_without_being_asked_nobody_is_followed(device: FakeDevice) -> None:
    engine = _engine(device, [])
    with subprocess.Popen(["sleep", "60"]) as child:
        engine.attach(identify(child.pid))
        device.send(Event(EventType.GONE, 1))
        engine.step(1.0)
        assert engine.timeout is None
        assert device.followed == set()
        child.kill()
    engine.close()


def test_begins_with_what_is_known_already(device: FakeDevice) -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        engine = _engine(device, [])
        known = Profile(execution_counts={0x1000: 1})
        target = engine.attach(identify(child.pid), profile=known)
        assert target.profile.execution_counts == {0x1000: 1}
        engine.close()
    finally:
        child.kill()
        child.wait()


def test_one_that_is_let_go_is_not_attached_again(device: FakeDevice) -> None:
    engine, shell = _family(device, [])
    try:
        engine.run(_until(lambda: len(engine.targets) == 2))
        for target in engine.targets:
            engine.watch_end(target)
            engine.detach(target)
            engine.detach(target)  # it is gone already
        assert sorted(device.detached) == [1, 2]
        assert engine.is_over
        assert shell.poll() is None
    finally:
        _end(engine, shell)


def test_coming_and_going_leaves_no_file_open(device: FakeDevice) -> None:
    engine = _engine(device, [])
    with subprocess.Popen(["sleep", "60"]) as child:
        process = identify(child.pid)
        before = open_files()
        for _ in range(20):
            target = engine.attach(process, children=True)
            engine.watch_end(target)
            engine.detach(target)
        assert not open_files() - before
        assert len(engine.summaries()) == 20
        engine.forget_finished()
        assert engine.summaries() == ()
        child.kill()
    engine.close()


def test_children_are_attached_only_if_they_are_admitted(device: FakeDevice) -> None:
    engine, shell = _family(device, [])
    asked: list[int] = []

    def admit(pid: int) -> bool:
        asked.append(pid)
        return False

    try:
        engine.admit_if(admit)
        engine.run(_until(lambda: engine.timeout is None or bool(asked)))
        assert asked == list(descendants(shell.pid))
        engine.step(0)
        assert [target.process.pid for target in engine.targets] == [shell.pid]
    finally:
        _end(engine, shell)


def test_bounds_hold_for_who_comes_later(device: FakeDevice) -> None:
    log: list[str] = []
    engine, shell = _family(device, log)
    try:
        engine.limit(Caps(regions=3), processes=1)
        engine.run(_until(lambda: bool(log)))
        (child,) = descendants(shell.pid)
        assert log == [f"process {child} runs natively: limit of 1 processes reached"]
        engine.limit(Caps(regions=3), processes=2)
        device.send(Event(EventType.FORK, 1, target=child))
        engine.run(_until(lambda: len(engine.targets) == 2))
        assert engine.targets[1]._policy.caps.regions == 3
        assert engine.targets[0]._policy.caps.regions == Caps().regions
    finally:
        _end(engine, shell)


def test_requests_are_served_while_all_else_waits(device: FakeDevice) -> None:
    log: list[str] = []
    engine, shell = _family(device, log)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            asked: list[bytes] = []
            engine.watch(ours.fileno(), lambda: asked.append(ours.recv(8)))
            device.send(Event(EventType.FORK, 1, target=shell.pid))
            looks = device.looks
            theirs.send(b"pause")
            engine.serve(60)
            assert asked == [b"pause"]
            began = time.monotonic()
            engine.serve(0.1)
            assert time.monotonic() - began > 0.09
            assert device.looks == looks
            # The event is still there.
            assert device.events()
        finally:
            engine.unwatch(ours.fileno())
            _end(engine, shell)
