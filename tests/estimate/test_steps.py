# SPDX-License-Identifier: GPL-2.0-only
"""Gaps of real programs, stepped; and what the programs notice of that: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from tests.estimate.subjects import NO_PTRACE, Subject, running, tracer_of
from ubypass.errors import UbError
from ubypass.estimate import steps
from ubypass.estimate.steppable import is_syscall, may_step
from ubypass.estimate.steps import Bounds, End, Session, step
from ubypass.process.elf import open_elf
from ubypass.process.memory import ProcessMemory
from ubypass.process.ptrace import Stop

pytestmark = NO_PTRACE

_PREAD = 17


def _stepped(subject: Subject, wanted: Mapping[int, int], bounds: Bounds) -> Session:
    """A session that met the program running."""
    for _ in range(20):
        found = step(subject.pid, wanted, bounds)
        if found.paths:
            return found
    raise AssertionError("nothing was stepped")


def _site(subject: Subject) -> int:
    """Where its pread returns to: behind the only such call in the C library."""
    with ProcessMemory(subject.pid) as memory:
        code = [a for a in memory.maps.areas if a.is_code and "libc" in a.path]
        assert code
        elf = open_elf(code[0].path)
        value = elf.address_of("pread64")
        assert value is not None
        start = code[0].start - code[0].offset + value
        text = memory.read(start, 64)
        return start + text.index(b"\x0f\x05") + 2


@pytest.mark.parametrize("what", ["pread", "waiting"])
def test_gaps_lead_from_call_to_call(what: str) -> None:
    with running(what) as subject:
        site = _site(subject)
        usual = os.getpriority(os.PRIO_PROCESS, subject.pid)
        found = _stepped(subject, {site: 3}, Bounds(seconds=0.2, most=2))
        assert tracer_of(subject.pid) == 0
        assert os.getpriority(os.PRIO_PROCESS, subject.pid) == usual
        with ProcessMemory(subject.pid) as memory:
            for path in found.paths:
                assert path.resume == site == path.ips[0]
                assert path.nr == _PREAD
                if path.end is End.CALL:
                    assert is_syscall(memory.read(path.ips[-1], 2))
                    assert path.following == path.ips[-1] + 2
        time.sleep(0.1)
        assert subject.end() == "errors 0 turns some"
    assert found.steps >= sum(len(path.ips) - 1 for path in found.paths)
    assert any(path.end is End.CALL for path in found.paths)


def test_many_sessions_leave_signals_and_traps_alone() -> None:
    with running("signals") as subject:
        site = _site(subject)
        ends: set[End] = set()
        for _ in range(100):
            found = step(subject.pid, {site: 50}, Bounds(seconds=0.02))
            ends.update(path.end for path in found.paths)
            if End.SIGNAL in ends:
                break
        assert End.SIGNAL in ends
        assert subject.end() == "errors 0 turns some"


def test_a_call_that_waits_is_not_ended() -> None:
    with running("waiting") as subject:
        site = _site(subject)
        for _ in range(15):
            step(subject.pid, {site: 1, 1: 1}, Bounds(seconds=0.02))
        assert subject.end() == "errors 0 turns some"


class _Thread:
    """Sleeps in epoll_wait, whose end is told of in place of the interruption."""

    def __init__(self) -> None:
        self.stops = [Stop(call=True), None, Stop()]
        self.done: list[str] = []
        self.result = -4  # EINTR

    def interrupt(self) -> None:
        self.done.append("interrupt")

    def cont(self, number: int) -> None:
        self.done.append(f"cont {number}")

    def wait(self) -> Stop | None:
        return self.stops.pop(0)

    def registers(self) -> SimpleNamespace:
        return SimpleNamespace(nr=232, result=self.result)

    def set_registers(self, registers: SimpleNamespace) -> None:
        self.result = registers.result

    def detach(self, number: int) -> None:
        self.done.append("detach")


def test_a_call_that_ends_by_the_interruption_is_made_again() -> None:
    keeper = steps._Keeper(os.getpid(), {}, Bounds(), 1)
    thread = _Thread()
    keeper._thread = thread  # type: ignore[assignment]
    keeper._let_go()
    assert thread.result == -514  # ERESTARTNOHAND: once no handler runs
    # The first stop takes the place of the one that was asked for.
    assert thread.done == ["interrupt", "interrupt", "cont 0", "detach"]


def test_no_instruction_shows_the_trap_flag() -> None:
    with running("flags") as subject:
        found = _stepped(subject, {_site(subject): 3}, Bounds(seconds=0.2))
        assert found.paths[0].end is End.UNSTEPPABLE
        assert subject.end() == "errors 0 turns some"


def test_steps_are_bounded() -> None:
    with running("pread") as subject:
        found = _stepped(subject, {_site(subject): 100}, Bounds(2, 3, 12, 9))
        assert found.steps == 2 * 9
        assert [path.end for path in found.paths] == [End.LONG, End.LONG]
        assert subject.end() == "errors 0 turns some"


def test_time_is_bounded() -> None:
    with running("pread") as subject:
        site = _site(subject)
        ends = set()
        # Now and then the time is over between two gaps.
        while End.LATE not in ends:
            began = time.monotonic()
            found = _stepped(subject, {site: 10**6}, Bounds(5, 0.2, 10**9))
            assert time.monotonic() - began < 4
            ends.add(found.paths[-1].end)
        assert subject.end() == "errors 0 turns some"


def test_who_computes_is_let_go_in_the_middle_of_nothing() -> None:
    with running("computes") as subject:
        began = time.monotonic()
        found = step(subject.pid, {1: 1}, Bounds(seconds=0.05, most=0.1))
        assert found.paths == ()
        assert time.monotonic() - began < 2
        assert tracer_of(subject.pid) == 0
        assert subject.end() == "errors 0 turns some"


def test_who_sleeps_is_not_stopped() -> None:
    with running("idle") as subject:
        found = step(subject.pid, {1: 1}, Bounds(most=0.015))
        assert (found.paths, found.steps) == ((), 0)
        assert subject.end() == "errors 0 turns some"


def test_a_process_that_is_gone() -> None:
    with running("pread") as subject:
        site = _site(subject)
        subject.end()
        with pytest.raises(UbError, match="ended while it was observed"):
            step(subject.pid, {site: 1}, Bounds())


def test_who_is_traced_already() -> None:
    """By a tracer that is not us."""
    code = (
        "import sys, time; from ubypass.process.ptrace import Thread;"
        "t = Thread(int(sys.argv[1])); print('traced', flush=True); time.sleep(60)"
    )
    with running("pread") as subject:
        words = [sys.executable, "-c", code, str(subject.pid)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as tracer:
            assert tracer.stdout is not None
            assert tracer.stdout.readline() == b"traced\n"
            with pytest.raises(UbError, match="may not be traced") as caught:
                step(subject.pid, {1: 1}, Bounds())
            assert "only one tracer" in caught.value.hint
            tracer.kill()
        assert subject.end() == "errors 0 turns some"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_we_end_the_program_goes_on(number: signal.Signals) -> None:
    """In the middle of many steps."""
    code = (
        "import sys; from ubypass.estimate.steps import Bounds, step;"
        "print('begins', flush=True);"
        "step(int(sys.argv[1]), {int(sys.argv[2]): 10 ** 6}, Bounds(20, 20, 10 ** 9))"
    )
    with running("pread") as subject:
        usual = os.getpriority(os.PRIO_PROCESS, subject.pid)
        words = [sys.executable, "-c", code, str(subject.pid), str(_site(subject))]
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as ours:
            assert ours.stdout is not None
            assert ours.stdout.readline() == b"begins\n"
            _until(lambda: tracer_of(subject.pid) != 0)
            time.sleep(0.1)
            ours.send_signal(number)
            ours.wait()
        _until(lambda: tracer_of(subject.pid) == 0)
        time.sleep(0.1)
        assert subject.status is None
        assert os.getpriority(os.PRIO_PROCESS, subject.pid) == usual
        assert subject.end() == "errors 0 turns some"


def _until(seen: object) -> None:
    assert callable(seen)
    end = time.monotonic() + 20
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("code", "may"),
    [
        ("90", True),
        ("0f05", False),
        ("9c", False),
        ("669d", False),
        ("f3480f1efa", True),
        ("0f01f9", True),
        ("0f01d0", False),
        ("c7f800000000", False),
        ("c7c001000000", True),
        ("ff18", False),
        ("ffe0", True),
        ("cc", False),
        ("", False),
    ],
)
def test_what_may_be_stepped(code: str, may: bool) -> None:
    assert may_step(bytes.fromhex(code)) is may
