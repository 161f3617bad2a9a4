# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.chains.samples import CALLS, captured
from ubypass.abi import ExitReason, Translation
from ubypass.bench.chains.figures import figures
from ubypass.bench.chains.job import Mode, Plan
from ubypass.bench.chains.replay import Replayed, replay, usable_processor
from ubypass.bench.chains.translation import Bounds
from ubypass.errors import UbError

_MARK = (0x12345679).to_bytes(4, "little")


def _plan(*modes: Mode, repetitions: int = 3) -> Plan:
    return Plan(repetitions, modes or (Mode.HOT,), usable_processor())


def _replayed(what: str, folder: Path, plan: Plan) -> Replayed:
    return replay(captured(what, folder), plan, Bounds(), lambda _: None)


def test_all_modes(tmp_path: Path) -> None:
    plan = Plan(3, processor=usable_processor())
    found = _replayed("plain", tmp_path, plan)
    assert found.wrong == 0
    assert found.changed > 16
    # One run: entered behind the first call, left by none.
    assert found.runs == 1
    assert found.parked == 0
    assert found.dispatched == CALLS
    assert not found.exits
    assert 0.1 < found.ticks_per_ns < 10
    assert [ticks.mode for ticks in found.modes] == list(plan.modes)
    for ticks in found.modes:
        assert len(ticks.native) == len(ticks.translated) == 3
        assert {len(row) for row in ticks.native} == {CALLS}


def test_a_transition_is_paid_natively_only(tmp_path: Path) -> None:
    plan = _plan(Mode.WORK, Mode.WORK | Mode.TRANSITION, repetitions=9)
    work, whole = _replayed("plain", tmp_path, plan).modes

    def usual(rows: tuple[tuple[int, ...], ...]) -> int:
        return sorted(sum(row) for row in rows)[len(rows) // 2]

    # An empty system call takes 50 ns or more on every processor.
    assert usual(whole.native) > usual(work.native) + 50 * CALLS
    assert usual(whole.translated) < usual(work.translated) + 25 * CALLS


def test_times_are_those_of_the_captured_program(tmp_path: Path) -> None:
    found = _replayed("time", tmp_path, _plan())
    assert len(found.capture.answers) >= CALLS // 2
    assert found.wrong == 0
    assert found.dispatched == CALLS


def test_goes_on_natively_where_the_translation_leaves(tmp_path: Path) -> None:
    found = _replayed("leave", tmp_path, _plan(Mode.WORK | Mode.TRANSITION))
    assert found.wrong == 0
    assert {reason for reason, _, _ in found.exits} == {ExitReason.UNSUPPORTED}
    assert found.runs > CALLS // 2 - 2
    assert 0 < found.dispatched < CALLS


def test_the_chain_teaches_where_registers_hold_no_address(tmp_path: Path) -> None:
    found = _replayed("biased", tmp_path, _plan(Mode.WORK | Mode.TRANSITION))
    assert found.wrong == 0
    assert len(found.learned) == 1
    # With that nothing leaves any more.
    assert (found.runs, found.dispatched) == (1, CALLS)
    assert not found.exits
    assert not found.nonpointers


@pytest.mark.parametrize("what", ["plain", "leave", "biased"])
def test_a_trusted_program_computes_the_same(what: str, tmp_path: Path) -> None:
    """And leaves its translation in the same places."""
    capture, plan = captured(what, tmp_path), _plan(Mode.WORK | Mode.TRANSITION)
    found, plain = (
        replay(capture, plan, Bounds(trusted=t), lambda _: None) for t in (True, False)
    )
    assert found.made.translation.trusted
    assert found.wrong == 0
    assert (found.runs, found.dispatched) == (plain.runs, plain.dispatched)
    assert [e[:2] for e in found.exits] == [e[:2] for e in plain.exits]
    assert found.learned == plain.learned
    assert figures(found, "a cpu").name == f"{capture.origin.name}, trusted"


def test_a_wrong_translation_is_found(tmp_path: Path) -> None:
    """Which computes with another constant."""
    capture = captured("plain", tmp_path)

    def spoiled(made: Translation) -> Translation:
        assert _MARK in made.code
        return replace(made, code=made.code.replace(_MARK, b"\x7a\x56\x34\x12"))

    found = replay(capture, _plan(), Bounds(), lambda _: None, spoiled)
    assert found.wrong > 16
    assert not found.modes


def test_too_long_gaps_stay_native(tmp_path: Path) -> None:
    capture = captured("plain", tmp_path)
    longer = max(len(path.ips) for path in capture.paths)
    found = replay(capture, _plan(), Bounds(longest=longer - 1), lambda _: None)
    assert found.wrong == 0
    assert 0 < found.dispatched < CALLS


def test_the_module_looks_away_from_what_stays_native(tmp_path: Path) -> None:
    """What it does there is next to nothing."""
    capture = captured("twice", tmp_path)
    long = {path.nr for path in capture.paths if len(path.ips) > 100}
    assert len(long) == 2
    found = replay(capture, _plan(), Bounds(longest=100), lambda _: None)
    assert found.wrong == 0
    assert found.dispatched > 0
    # One of the two is called from a translation, the other one natively.
    assert abs(found.parked - CALLS // 3) <= 1


def test_no_gap_is_short_enough(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="no gap is short enough"):
        replay(captured("plain", tmp_path), _plan(), Bounds(longest=1), lambda _: None)


def test_a_chain_that_goes_another_way(tmp_path: Path) -> None:
    """What a call wrote is not what the program saw."""
    capture = captured("plain", tmp_path)
    calls = list(capture.calls)
    calls[3] = replace(calls[3], nr=calls[3].nr + 1)
    with pytest.raises(UbError, match="the native chain takes another path"):
        replay(replace(capture, calls=tuple(calls)), _plan(), Bounds(), lambda _: None)


def test_memory_where_the_replay_is(tmp_path: Path) -> None:
    capture = captured("plain", tmp_path)
    taken = replace(capture.areas[0], start=0x7000_0000, end=0x7000_1000)
    with pytest.raises(UbError, match="cannot be mapped at 0x70000000"):
        replay(
            replace(capture, areas=(taken, *capture.areas)),
            _plan(),
            Bounds(),
            lambda _: None,
        )


def test_leaves_no_file_behind(tmp_path: Path) -> None:
    before = set(Path("/dev/shm").glob("ub-chains-*"))
    capture = captured("plain", tmp_path)
    replay(capture, _plan(Mode.WORK), Bounds(), lambda _: None)
    # One that fails, in the middle.
    stray = replace(capture, rip=capture.areas[0].start)
    with pytest.raises(UbError, match="cannot be replayed"):
        replay(stray, _plan(Mode.WORK), Bounds(), lambda _: None)
    left = set(Path("/dev/shm").glob("ub-chains-*")) - before
    # Other tests may be replaying.
    assert all(Path(f"/proc/{int(file.name[-8:], 16)}").exists() for file in left)
