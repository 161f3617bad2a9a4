# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.estimate.subjects import NO_PTRACE, Subject, running
from ubypass.process.ptrace import Stop, Stopped, Thread

pytestmark = NO_PTRACE

_GETPPID = 110


@pytest.fixture
def subject() -> Iterator[Subject]:
    with running("getppid") as found:
        yield found


def _stop(thread: Thread) -> Stop:
    while (found := thread.wait()) is None:
        pass
    return found


def _held(subject: Subject) -> Thread:
    thread = Thread(subject.pid)
    thread.interrupt()
    assert _stop(thread) == Stop()
    return thread


def test_from_call_to_call(subject: Subject) -> None:
    thread = _held(subject)
    entries = []
    for _ in range(4):
        thread.to_call()
        assert _stop(thread).call
        call = thread.call()
        assert call is not None
        entries.append(call.entry)
        assert call.nr == (_GETPPID if call.entry else -1)
        registers = thread.registers()
        assert registers.nr == _GETPPID
        assert registers.ip == call.ip == thread.ip()
        assert (registers.result > 0) is not call.entry
    assert entries in ([True, False] * 2, [False, True] * 2)
    thread.detach()
    assert subject.end() == "errors 0 turns some"


def test_steps(subject: Subject) -> None:
    thread = _held(subject)
    thread.to_call()
    _stop(thread)
    while (call := thread.call()) is None or call.entry:
        thread.to_call()
        _stop(thread)
    before = thread.ip()
    thread.step()
    assert _stop(thread).is_step
    assert 0 < thread.ip() - before <= 15
    assert thread.call() is None
    thread.detach()
    assert subject.end() == "errors 0 turns some"


def test_registers_can_be_set(subject: Subject) -> None:
    thread = _held(subject)
    before = thread.registers()
    changed = thread.registers()
    changed.result = -4
    thread.set_registers(changed)
    assert thread.registers().result == -4
    thread.set_registers(before)
    assert thread.registers() == before
    thread.detach()
    assert subject.end() == "errors 0 turns some"


def test_a_trap_that_is_the_program_s_own() -> None:
    with running("signals") as subject:
        thread = Thread(subject.pid)
        found = set()
        while len(found) < 2:
            stop = _stop(thread)
            assert not stop.is_step
            found.add(stop.signal)
            thread.cont(stop.signal)
        assert found == {signal.SIGTRAP, signal.SIGALRM}
        thread.interrupt()
        while (stop := _stop(thread)).signal:
            thread.cont(stop.signal)
        thread.detach()
        assert subject.end() == "errors 0 turns some"


def test_the_end_of_the_thread() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        thread = Thread(process.pid)
        process.kill()
        with pytest.raises(Stopped):
            _stop(thread)
        with pytest.raises(Stopped):
            thread.interrupt()


def test_who_does_not_exist() -> None:
    with pytest.raises(OSError, match="No such process"):
        Thread(2**22 + 1)
