# SPDX-License-Identifier: GPL-2.0-only
"""Real programs looked at for a while; none of them notices."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import time
from collections.abc import Iterator, Mapping

import pytest

from tests.estimate.subjects import NO_PTRACE, NO_TRACEPOINTS, running
from ubypass.cost.model import models
from ubypass.estimate import steps
from ubypass.estimate import survey as subject_module
from ubypass.estimate.followed import Followed
from ubypass.estimate.judge import judge
from ubypass.estimate.offline import Verdict
from ubypass.estimate.rates import Tracepoints
from ubypass.estimate.steps import End
from ubypass.estimate.survey import Source, survey

pytestmark = [NO_TRACEPOINTS, NO_PTRACE]

_PREAD = 17
_SECONDS = 3.0
_TRIES = 5
_MODEL = models()["zen4"]


@pytest.fixture(scope="module")
def tracepoints() -> Iterator[Tracepoints]:
    with contextlib.closing(Tracepoints()) as found:
        yield found


@pytest.mark.parametrize("which", ["tracepoints", "ptrace"])
def test_a_loop_of_reads(which: str, tracepoints: Tracepoints) -> None:
    source: Source = tracepoints if which == "tracepoints" else Followed()
    with running("pread") as subject:
        found = survey(lambda: [subject.pid], _SECONDS, source, _MODEL)
        assert subject.end() == "errors 0 turns some"
    assert found.source == which
    (process,) = found.processes
    judged = judge(process, _MODEL, found.gap_ns)
    site = judged.sites[0]
    assert (site.kind.nr, site.call) == (_PREAD, _PREAD)
    assert site.part > 0.9
    assert site.looked.verdict is Verdict.TRANSLATED
    assert 5 < site.looked.instructions < 200
    # The kernel counts reads: as many as that are made.
    assert judged.counted
    assert judged.per_cpu_second > 50_000
    assert 0 < judged.share.low < judged.share.likely < judged.share.high < 1
    assert (site.gap_ns is not None) is (which == "tracepoints")


def test_threads_signals_and_calls_that_wait(tracepoints: Tracepoints) -> None:
    with (
        running("threads") as threads,
        running("signals") as signals,
        running("waiting") as waiting,
    ):
        subjects = (threads, signals, waiting)
        pids = [subject.pid for subject in subjects]
        found = survey(lambda: pids, _SECONDS, tracepoints, _MODEL)
        for subject in subjects:
            assert subject.end() == "errors 0 turns some"
    assert [process.pid for process in found.processes] == pids
    looked = found.processes[0]
    assert sum(bool(seen.chains) for seen in looked.threads.values()) > 1


def test_what_it_costs_is_bounded(tracepoints: Tracepoints) -> None:
    """By its own account: what really is lost other work on the machine hides."""
    with running("pread") as subject:
        found = survey(lambda: [subject.pid], 6.0, tracepoints, _MODEL)
        assert subject.end() == "errors 0 turns some"
    (process,) = found.processes
    assert found.lost < 0.02 * process.use * process.seconds + 0.03
    assert found.steps < 20_000


def test_it_goes_on_until_a_gap_was_stepped(
    tracepoints: Tracepoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine a thread may not be met running for as long as was asked."""
    really, began = steps.step, time.monotonic()

    def step(
        tid: int, wanted: Mapping[int, int], bounds: steps.Bounds
    ) -> steps.Session:
        if time.monotonic() - began < 1.5 * _SECONDS:
            return steps.Session(busy=False)
        return really(tid, wanted, bounds)

    monkeypatch.setattr(steps, "step", step)
    with running("pread") as subject:
        found = survey(lambda: [subject.pid], _SECONDS, tracepoints, _MODEL)
        assert subject.end() == "errors 0 turns some"
    assert found.steps > 0
    judged = judge(found.processes[0], _MODEL, found.gap_ns)
    assert judged.sites[0].looked.verdict is Verdict.TRANSLATED
    assert found.seconds < 3 * _SECONDS + 1


def test_an_idle_program_is_left_alone(tracepoints: Tracepoints) -> None:
    with running("idle") as subject:
        found = survey(lambda: [subject.pid], 1.0, tracepoints, _MODEL)
        assert subject.end() == "errors 0 turns some"
    assert found.steps == 0
    judged = judge(found.processes[0], _MODEL, found.gap_ns)
    assert "idle" in [reason.name for reason in judged.reasons]


def test_a_program_that_ends(tracepoints: Tracepoints) -> None:
    with running("ends") as subject:
        found = survey(lambda: [subject.pid], 20.0, tracepoints, _MODEL)
        assert found.seconds < 15
    assert all(process.seconds < 15 for process in found.processes)


def test_nobody(tracepoints: Tracepoints) -> None:
    assert survey(lambda: [], 5.0, tracepoints, _MODEL).processes == []
    gone = survey(lambda: [2**22 + 1], 5.0, tracepoints, _MODEL)
    assert gone.processes == []
    assert gone.seconds < 1


def test_a_program_that_becomes_another(tracepoints: Tracepoints) -> None:
    """What was seen of the one says nothing of the other."""
    words = ["sh", "-c", "sleep 0.6; exec dd if=/dev/zero of=/dev/null bs=64"]
    # A busy machine may leave no time to step a whole gap of the second one.
    for _ in range(_TRIES):
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as child:
            found = survey(lambda: [child.pid], _SECONDS, tracepoints, _MODEL)
            child.kill()
        assert [process.name for process in found.processes] == ["sh", "dd"]
        ends = {path.end for path in found.processes[1].program.paths}
        if End.CALL in ends:
            break
    assert End.CALL in ends


def test_in_the_middle_of_an_exec_there_is_no_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert subject_module._image(os.getpid())
    monkeypatch.setattr(
        subject_module, "open", lambda *_: io.BytesIO(bytes(16)), raising=False
    )
    assert subject_module._image(os.getpid()) == b""
