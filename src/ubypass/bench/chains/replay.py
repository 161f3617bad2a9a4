# SPDX-License-Identifier: GPL-2.0-only
"""Replay a captured chain on this processor: natively and translated, by turns."""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ubypass import child
from ubypass.abi import Abi, ExitReason, Translation
from ubypass.bench.chains import job as jobs
from ubypass.bench.chains.clock import clock_of
from ubypass.bench.chains.ends import plant
from ubypass.bench.chains.job import Mode, Plan
from ubypass.bench.chains.programs import replay_program
from ubypass.bench.chains.snapshot import Capture
from ubypass.bench.chains.translation import Bounds, Image, Made, full_ways, make
from ubypass.errors import UbError
from ubypass.processor import features

__all__ = ["Replayed", "Ticks", "replay", "usable_processor"]

_MAGIC = 0x74756F6E69616863
_REASONS = 16
_ROUND = 10  # as replay.c has it
_SECONDS = 600
_LESSONS = 8  # translations at most to learn from
_FILE = "/dev/shm/ub-chains-{:08x}"  # as work.c names it
_WHY = {
    "the program's memory cannot be put at": "it has memory where the replay must be",
    "the chain does not repeat itself": "it depends on more than its memory",
    "natively the chain goes another way": "it depends on more than its memory",
}


@dataclass(frozen=True, slots=True)
class Ticks:
    """One mode: ticks of each gap and of the whole chain, by repetition."""

    mode: Mode
    native: tuple[tuple[int, ...], ...]
    translated: tuple[tuple[int, ...], ...]
    native_chain: tuple[int, ...]
    translated_chain: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Replayed:
    """``changed``: words of memory that the chain changes; of these and of all others
    ``wrong`` ones after some translated chain, none unless the translation is at fault.
    ``asleep``: calls at sites from which the module looks away. ``exits``: how often
    the translation was left in a chain, by place. ``nonpointers``: by the address of an
    instruction the registers, one bit each, that held no address there, for which the
    translation left; ``learned``: those that it was made around.
    """

    capture: Capture
    made: Made
    ticks_per_ns: float
    changed: int
    wrong: int
    runs: int
    dispatched: int
    asleep: int
    exits: tuple[tuple[ExitReason, int, int], ...]
    modes: tuple[Ticks, ...]
    nonpointers: Mapping[int, int] = field(default_factory=dict)
    learned: Mapping[int, int] = field(default_factory=dict)


def replay(
    capture: Capture,
    plan: Plan,
    bounds: Bounds,
    progress: Callable[[str], None],
    translation: Callable[[Translation], Translation] = lambda made: made,
) -> Replayed:
    """Translate and replay. Raises UbError.

    As the engine does, first translates again as long as the chain teaches where
    registers hold no address.

    ``translation`` may change what is replayed, which tests do.
    """
    capture.require_here()
    program = replay_program()
    clock = clock_of(capture)
    ways = full_ways(capture, clock)
    executed = sorted({ip for way in ways for ip in way.ips})
    ends = plant((call.site for call in capture.calls), executed, capture.areas)
    image, abi = Image(capture, clock.patches), _abi(program)

    def play(plan: Plan, made: Made) -> Replayed:
        changed = translation(made.translation)
        with tempfile.TemporaryDirectory(prefix="ub-chains-") as folder:
            file = Path(folder) / "job"
            jobs.write(file, jobs.job(capture, clock, ends, changed, plan))
            data = _run(capture, [str(program), str(file), str(capture.memory)])
        return _read(capture, made, plan, data)

    progress(f"{capture.origin.name}: translating")
    learned: dict[int, int] = {}
    made = make(ways, image, abi, bounds)
    for _ in range(_LESSONS):
        news = play(replace(plan, repetitions=0), made).nonpointers
        if all(
            learned.get(ip, 0) | mask == learned.get(ip) for ip, mask in news.items()
        ):
            break
        for ip, mask in news.items():
            learned[ip] = learned.get(ip, 0) | mask
        made = make(ways, image, abi, bounds, learned)
    progress(f"{capture.origin.name}: replaying {len(capture.calls)} system calls")
    return replace(play(plan, made), learned=learned)


def usable_processor() -> int:
    """The one to replay on: the last that this process may use."""
    return max(os.sched_getaffinity(0))


def _abi(program: Path) -> Abi:
    """As this processor's module would offer it, without stac and clac."""
    out = child.run([str(program), "sizes"], capture_output=True, text=True)
    plain, vector = (int(word) for word in out.stdout.split())
    return Abi(
        dispatch_size=plain, dispatch_vector_size=vector, features=features() or None
    )


def _run(capture: Capture, command: list[str]) -> bytes:
    with child.start(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            out, err = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise UbError(
                f"the replay of {capture.origin.name} does not end in {_SECONDS} s",
                "capture fewer calls with --calls",
            ) from error
        finally:
            child.end(process)
            # Its file for reads and writes; however it ended.
            Path(_FILE.format(process.pid)).unlink(missing_ok=True)
    if process.returncode:
        said = err.decode(errors="replace").strip()
        why = next((text for start, text in _WHY.items() if said.startswith(start)), "")
        raise UbError(
            f"the chain of {capture.origin.name} cannot be replayed: "
            f"{said or f'it ended with status {process.returncode}'}",
            why,
        )
    return bytes(out)


def _read(capture: Capture, made: Made, plan: Plan, data: bytes) -> Replayed:
    values = struct.unpack(f"<{len(data) // 8}Q", data)
    magic, ticks, ns, changed, wrong, other, astray, runs, dispatched = values[:9]
    asleep = values[9]
    if magic != _MAGIC:
        raise UbError("the replay program gave no result")
    at = 10 + _REASONS
    exits = made.translation.exits
    taken = values[at : at + len(exits)]
    at += len(exits)
    masks = values[at : at + len(exits)]
    at += len(exits)
    wrong += other + astray
    modes: tuple[Ticks, ...] = ()
    if not wrong:
        calls = len(capture.calls)
        modes = tuple(_ticks(values[at:], calls, plan))
        at += 2 * plan.repetitions * len(plan.modes) * (calls + 1)
        chains, *totals = values[at : at + 3]
        if totals != [runs * chains, dispatched * chains]:
            raise UbError(
                f"the chains of {capture.origin.name} did not run alike",
                "this is a mistake in ubypass, please report it",
            )
        wrong += sum(values[at + 3 : at + 5])
    return Replayed(
        capture,
        made,
        ticks / ns,
        changed,
        wrong,
        runs,
        dispatched,
        asleep,
        tuple(
            (exit.reason, exit.user_ip, count)
            for exit, count in zip(exits, taken, strict=True)
            if count
        ),
        modes,
        _nonpointers(made.translation, masks),
    )


def _nonpointers(made: Translation, masks: Sequence[int]) -> dict[int, int]:
    """By address, of all that held none at an exit, those that it was for."""
    anchored, found = dict(made.anchored), dict[int, int]()
    for leave, mask in zip(made.exits, masks, strict=True):
        if mask & anchored.get(leave.user_ip, 0):
            known = found.get(leave.user_ip, 0)
            found[leave.user_ip] = known | mask & anchored[leave.user_ip]
    return found


def _ticks(values: Sequence[int], calls: int, plan: Plan) -> Iterator[Ticks]:
    """Of each mode, from what comes round by round."""
    rows: dict[Mode, tuple[list[tuple[int, ...]], list[tuple[int, ...]]]] = {
        mode: ([], []) for mode in plan.modes
    }
    at = 0
    for first in range(0, plan.repetitions, _ROUND):
        for mode in plan.modes:
            for _ in range(first, min(first + _ROUND, plan.repetitions)):
                for column in rows[mode]:
                    row = values[at : at + calls + 1]
                    column.append(tuple(_signed(value) for value in row))
                    at += calls + 1
    for mode, (native, translated) in rows.items():
        yield Ticks(
            mode,
            tuple(row[:-1] for row in native),
            tuple(row[:-1] for row in translated),
            tuple(row[-1] for row in native),
            tuple(row[-1] for row in translated),
        )


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
