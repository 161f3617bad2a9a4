# SPDX-License-Identifier: GPL-2.0-only
"""Replay a captured chain on this processor, native and translated by turns."""

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
from ubypass.bench.chains.translation import Bounds, Image, Made, full_paths, make
from ubypass.errors import UbError
from ubypass.processor import features
from ubypass.words import signed64

__all__ = ["Replayed", "Ticks", "replay", "usable_processor"]

_MAGIC = 0x74756F6E69616863
_REASONS = 16
_ROUND = 10  # as in replay.c
_SECONDS = 600
_LESSONS = 8  # most translations to learn from
_FILE = "/dev/shm/ub-chains-{:08x}"  # as in work.c
_WHY = {
    "the memory of the program cannot be mapped at": "its addresses are those of the "
    "replay program",
    "the chain is not repeatable": "it depends on state outside its memory",
    "the native chain takes another path": "it depends on state outside its memory",
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
    """The results of a replay.

    ``changed``: number of memory words that the chain changes. ``wrong``: number of
    words that differ from the native result after a translated chain, plus that of
    chains on another path; 0 unless the translation is wrong. ``parked``: calls at
    sites that the trampoline lets pass. ``exits``: reason, user address and number of
    exits in a chain. ``nonpointers``: by the address of an instruction, the registers
    (one bit each) whose value was no address and caused an exit there; ``learned``: the
    nonpointers that the final translation was made for.
    """

    capture: Capture
    made: Made
    ticks_per_ns: float
    changed: int
    wrong: int
    runs: int
    dispatched: int
    parked: int
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
    """Translate and replay a capture. Raises UbError.

    As in the engine, the chain is translated again as long as a replay finds new
    nonpointers.

    ``translation``: changes the translation to be replayed, for tests.
    """
    capture.require_here()
    program = replay_program()
    clock = clock_of(capture)
    paths = full_paths(capture, clock)
    executed = sorted({ip for path in paths for ip in path.ips})
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
    made = make(paths, image, abi, bounds)
    for _ in range(_LESSONS):
        news = play(replace(plan, repetitions=0), made).nonpointers
        if all(
            learned.get(ip, 0) | mask == learned.get(ip) for ip, mask in news.items()
        ):
            break
        for ip, mask in news.items():
            learned[ip] = learned.get(ip, 0) | mask
        made = make(paths, image, abi, bounds, learned)
    progress(f"{capture.origin.name}: replaying {len(capture.calls)} system calls")
    return replace(play(plan, made), learned=learned)


def usable_processor() -> int:
    """The processor to replay on: the last one in the affinity of this process."""
    return max(os.sched_getaffinity(0))


def _abi(program: Path) -> Abi:
    """The ABI of the module on this processor, without stac and clac."""
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
                f"the replay of {capture.origin.name} does not end within {_SECONDS} s",
                "capture fewer calls with --calls",
            ) from error
        finally:
            child.end(process)
            # The replay's file for reads and writes, also after a crash.
            Path(_FILE.format(process.pid)).unlink(missing_ok=True)
    if process.returncode:
        output = err.decode(errors="replace").strip()
        why = next(
            (text for start, text in _WHY.items() if output.startswith(start)), ""
        )
        raise UbError(
            f"the chain of {capture.origin.name} cannot be replayed: "
            f"{output or f'it ended with status {process.returncode}'}",
            why,
        )
    return bytes(out)


def _read(capture: Capture, made: Made, plan: Plan, data: bytes) -> Replayed:
    values = struct.unpack(f"<{len(data) // 8}Q", data)
    magic, ticks, ns, changed, wrong, other, astray, runs, dispatched = values[:9]
    parked = values[9]
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
                f"the chains of {capture.origin.name} did not make the same calls",
                "please report this bug of ubypass",
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
        parked,
        tuple(
            (exit.reason, exit.user_ip, count)
            for exit, count in zip(exits, taken, strict=True)
            if count
        ),
        modes,
        _nonpointers(made.translation, masks),
    )


def _nonpointers(made: Translation, masks: Sequence[int]) -> dict[int, int]:
    """Registers without an address at exits that their clamps caused, by address."""
    anchored, found = dict(made.anchored), dict[int, int]()
    for leave, mask in zip(made.exits, masks, strict=True):
        if mask & anchored.get(leave.user_ip, 0):
            known = found.get(leave.user_ip, 0)
            found[leave.user_ip] = known | mask & anchored[leave.user_ip]
    return found


def _ticks(values: Sequence[int], calls: int, plan: Plan) -> Iterator[Ticks]:
    """The ticks of each mode, from rows in the order of the rounds."""
    rows: dict[Mode, tuple[list[tuple[int, ...]], list[tuple[int, ...]]]] = {
        mode: ([], []) for mode in plan.modes
    }
    at = 0
    for first in range(0, plan.repetitions, _ROUND):
        for mode in plan.modes:
            for _ in range(first, min(first + _ROUND, plan.repetitions)):
                for column in rows[mode]:
                    row = values[at : at + calls + 1]
                    column.append(tuple(signed64(value) for value in row))
                    at += calls + 1
    for mode, (native, translated) in rows.items():
        yield Ticks(
            mode,
            tuple(row[:-1] for row in native),
            tuple(row[:-1] for row in translated),
            tuple(row[-1] for row in native),
            tuple(row[-1] for row in translated),
        )
