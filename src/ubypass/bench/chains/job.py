# SPDX-License-Identifier: GPL-2.0-only
"""The input of the replay program: ``struct job`` of ``replay.h``, as 64-bit words."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ubypass.abi import Abi, Translation
from ubypass.bench.chains.clock import TIMES_AT, Clock
from ubypass.bench.chains.snapshot import Capture
from ubypass.bench.chains.work import work_for

__all__ = ["Mode", "Plan", "clears_buffers", "clears_history", "job", "write"]

_MAGIC = 0x336E696168636275
_MASK = (1 << 64) - 1
_HEADER = 62  # words: JOB_WORDS in replay.h
_MODES = 8
_PATCH = 24  # bytes
_WRITABLE = 1
_SPECTRE = Path("/sys/devices/system/cpu/vulnerabilities/spectre_v2")
# Vulnerabilities for which verw clears buffers on the return to user mode; others
# (mmio_stale_data) never occur without one of these.
_BUFFERS = ("mds", "tsx_async_abort", "reg_file_data_sampling", "tsa")


class Mode(enum.IntFlag):
    """What happens between gaps, and what a gap in user mode pays.

    ``WORK``: a real system call of the same kind, not timed. ``TRANSITION``: an empty
    system call, timed. ``THRASH``: other data and code pass through the caches.
    """

    HOT = 0
    WORK = 1
    TRANSITION = 2
    THRASH = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """Number of replays of the chain in each mode, and the processor to use."""

    repetitions: int = 100
    modes: tuple[Mode, ...] = (
        Mode.HOT,
        Mode.WORK,
        Mode.THRASH,
        Mode.WORK | Mode.TRANSITION,
        Mode.WORK | Mode.TRANSITION | Mode.THRASH,
    )
    processor: int = 0


def clears_history() -> bool:
    """Whether the running kernel clears the branch history at each system call.

    Then dispatches have to clear it, too.
    """
    try:
        return "BHI: SW loop" in _SPECTRE.read_text()
    except OSError:
        return False


def clears_buffers() -> bool:
    """Whether the running kernel clears CPU buffers on each return to user mode.

    Then dispatches have to clear them, too.
    """
    for name in _BUFFERS:
        try:
            status = (_SPECTRE.parent / name).read_text()
        except OSError:  # the kernel does not report this vulnerability
            continue
        # A mitigation for virtual machines only has ": VM" at its end.
        if ": Clear " in status and not status.rstrip().endswith(": VM"):
            return True
    return False


def job(
    capture: Capture,
    clock: Clock,
    ends: tuple[Mapping[int, bytes], Sequence[int]],
    made: Translation,
    plan: Plan,
) -> bytes:
    """The contents of the job file for one replay."""
    tables = _Tables()
    args = Abi().args
    words: list[tuple[int, int]] = []
    calls = []
    for call in capture.calls:
        work, size = work_for(call)
        calls.append(
            (
                *(call.nr, call.result, call.site + 2, len(words), len(call.changes)),
                *(args.get(call.nr, 0), work, size),
            )
        )
        words += call.changes
    areas = (
        (a.start, a.end, a.offset, _WRITABLE if a.writable else 0)
        for a in capture.areas
    )
    patches = [
        piece
        for at, new in (*clock.patches.items(), *ends[0].items())
        for piece in _pieces(at, new)
    ]
    header: list[int] = [
        *(_MAGIC, *capture.registers, capture.rip, capture.flags, capture.fsbase),
        *tables.add(areas),
        *tables.add(calls),
        *tables.add(words),
        *tables.add(patches),
    ]
    parts = [
        (number, len(data), tables.add_bytes(data)) for number, data in capture.parts
    ]
    header += tables.add(parts)
    header += (len(clock.times) // 24, tables.add_bytes(clock.times), TIMES_AT)
    header += (tables.add_bytes(made.code), len(made.code), made.vector, made.x87)
    header += tables.add((e.user_ip, e.code_offset, e.nr) for e in made.entries)
    header += tables.add((e.user_ip, e.cx, e.reason, e.flags) for e in made.exits)
    header += tables.add((f.code_offset, f.fixup_offset) for f in made.faults)
    header += tables.add(
        (d.code_offset, d.nr, d.pre_offset, d.post_offset) for d in made.dispatches
    )
    header += tables.add((jump,) for jump in made.jumps)
    header += (clears_history(), clears_buffers())
    header += (plan.repetitions, len(plan.modes))
    header += (*plan.modes, *[0] * (_MODES - len(plan.modes)))
    header += tables.add((page,) for page in ends[1])
    header.append(plan.processor)
    assert len(header) == _HEADER
    return _words(header) + bytes(tables.content)


class _Tables:
    """The data behind the header."""

    def __init__(self) -> None:
        self.content = bytearray()

    def add(self, rows: Iterable[Iterable[int]]) -> tuple[int, int]:
        """Append a table; the number of rows and their offset in the file."""
        offset = _HEADER * 8 + len(self.content)
        count = 0
        for row in rows:
            self.content += _words(row)
            count += 1
        return count, offset

    def add_bytes(self, data: bytes) -> int:
        """Append bytes; their offset in the file."""
        offset = _HEADER * 8 + len(self.content)
        self.content += data + bytes(-len(data) % 8)
        return offset


def _words(values: Iterable[int]) -> bytes:
    return b"".join((value & _MASK).to_bytes(8, "little") for value in values)


def _pieces(at: int, new: bytes) -> Iterable[tuple[int, ...]]:
    for first in range(0, len(new), _PATCH):
        piece = new[first : first + _PATCH]
        padded = piece.ljust(_PATCH, b"\0")
        yield (
            *(at + first, len(piece)),
            *(int.from_bytes(padded[i : i + 8], "little") for i in (0, 8, 16)),
        )


def write(path: Path, content: bytes) -> None:
    """Write a job, readable by its owner only: it contains memory of a program."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(content)
