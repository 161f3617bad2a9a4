# SPDX-License-Identifier: GPL-2.0-only
"""The identity of a process, whether it lives, and whether it can be boosted at all.

Every refusal is one clear :class:`~ubypass.errors.UbError`.
"""

from __future__ import annotations

import os
import time
from array import array
from dataclasses import dataclass
from pathlib import Path

from ubypass.errors import UbError, permission_hint
from ubypass.process.elf import ElfKind

__all__ = [
    "ProcessId",
    "descendants",
    "identify",
    "is_alive",
    "is_kernel_thread",
    "name_of",
    "program_kind",
    "read_name",
    "start_time",
    "threads",
]

_AT_PHENT = 4  # include/uapi/linux/auxvec.h: size of a program header
_AT_SYSINFO = 32
_PHDR_SIZES = {ElfKind.X86_64: 56, ElfKind.I386: 32}
_AUXV_MAX = 4096
_LOOK = 0.002  # seconds between reads of the auxiliary vector
_PF_KTHREAD = 0x00200000  # include/linux/sched.h; field "flags" of /proc/PID/stat


@dataclass(frozen=True, slots=True)
class ProcessId:
    """The identity of a process, distinct from a later one with the same number.

    ``start``: clock ticks since boot (field 22 of ``/proc/PID/stat``). ``name``: the
    command name.
    """

    pid: int
    start: int
    name: str


@dataclass(frozen=True, slots=True)
class _Stat:
    name: str
    state: str
    flags: int
    start: int


def identify(pid: int, patience: float = 0.5) -> ProcessId:
    """Check that ``pid`` can be boosted and return its identity.

    Waits for a process in the middle of an exec, up to ``patience`` seconds.

    Raises ``UbError`` for a process that does not exist, has exited, is a kernel
    thread, a thread of another process, a 32-bit program, or the caller.
    """
    if pid <= 0:
        raise UbError(f"{pid} is not a process id: process ids are positive")
    if pid == os.getpid():
        raise UbError(f"process {pid} is ub itself", "choose another process")
    stat = _read_stat(pid)
    if stat is None:
        raise UbError(f"there is no process {pid}", "'ps -e' lists all processes")
    if stat.state in "ZXx":
        raise UbError(f"process {pid} ({stat.name}) has already exited")
    if stat.flags & _PF_KTHREAD:
        raise UbError(
            f"process {pid} ({stat.name}) is a kernel thread",
            "only programs that run in user mode can be boosted",
        )
    leader = _leader(pid)
    if leader is not None and leader != pid:
        raise UbError(
            f"{pid} is a thread of process {leader} ({stat.name})",
            f"give the process: {leader}",
        )
    _require_64_bit(pid, stat.name, patience)
    # An exec that was waited for has changed the name.
    return ProcessId(pid, stat.start, (_read_stat(pid) or stat).name)


def start_time(pid: int) -> int | None:
    """Start of the process in clock ticks since boot; None if it has ended."""
    stat = _read_stat(pid)
    return None if stat is None else stat.start


def is_alive(process: ProcessId) -> bool:
    """Whether this process still runs (not a zombie, not a later process)."""
    stat = _read_stat(process.pid)
    return stat is not None and stat.start == process.start and stat.state not in "ZXx"


def is_kernel_thread(directory: Path) -> bool:
    """Whether ``directory`` (/proc/PID, or of a thread) is of a kernel thread.

    Raises OSError if it has ended.
    """
    text = (directory / "stat").read_text(errors="replace")
    return bool(_parse_stat(text).flags & _PF_KTHREAD)


def threads(pid: int) -> tuple[int, ...]:
    """Thread ids of the process, ascending; empty if the process has ended."""
    try:
        return tuple(sorted(int(name) for name in os.listdir(f"/proc/{pid}/task")))
    except OSError:
        return ()


def descendants(pid: int) -> tuple[int, ...]:
    """All descendants of the process, parents before children.

    Not atomic: children forked meanwhile may be missing, ended ones may be included.
    """
    found: dict[int, None] = {}
    todo = [pid]
    while todo:
        for child in _children(todo.pop(0)):
            if child not in found:
                found[child] = None
                todo.append(child)
    return tuple(found)


def _children(pid: int) -> list[int]:
    result = []
    for thread in threads(pid):
        try:
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                result += [int(word) for word in file.read().split()]
        except OSError:
            continue
    return result


def _read_stat(pid: int) -> _Stat | None:
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            return _parse_stat(file.read())
    except OSError:
        return None


def _parse_stat(text: str) -> _Stat:
    # The name may contain spaces and parentheses: the last parenthesis ends the name.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return _Stat(
        name=_printable(head.partition("(")[2]),
        state=fields[0],
        flags=int(fields[6]),
        start=int(fields[19]),
    )


def name_of(pid: int) -> str:
    """The name of a process; "?" if it has ended."""
    try:
        return read_name(Path(f"/proc/{pid}"))
    except OSError:
        return "?"


def read_name(directory: Path) -> str:
    """The name of the process or thread with that directory in procfs.

    Raises OSError if it has ended.
    """
    return _printable((directory / "comm").read_text(errors="replace").rstrip("\n"))


def _printable(name: str) -> str:
    """The process chooses its name, and terminals interpret control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _leader(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/status", errors="replace") as file:
            for line in file:
                if line.startswith("Tgid:"):
                    return int(line.split()[1])
    except OSError:
        return None
    return None


def _require_64_bit(pid: int, name: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    try:
        while True:
            # Not the executable, which may be on a file system without an answer.
            with open(f"/proc/{pid}/auxv", "rb") as file:
                auxv = file.read(_AUXV_MAX)
            # In the middle of an exec the vector is all zeros.
            if not auxv or any(auxv[:8]):
                break
            if time.monotonic() > deadline:
                raise UbError(
                    f"process {pid} ({name}) is starting a program", "try again"
                )
            time.sleep(_LOOK)
        kind = program_kind(auxv)
    except PermissionError as error:
        raise UbError(
            f"cannot inspect process {pid} ({name}): permission denied",
            permission_hint(),
        ) from error
    except OSError as error:
        raise UbError(f"process {pid} ({name}) has already exited") from error
    if kind is None:
        raise UbError(f"process {pid} ({name}) has already exited")
    if kind is ElfKind.X86_64:
        return
    raise UbError(
        f"process {pid} ({name}) is {kind.value}",
        "only 64-bit x86 programs can be boosted",
    )


def program_kind(auxv: bytes) -> ElfKind | None:
    """The kind of program by its auxiliary vector; None if the vector is empty.

    The kernel writes the vector at exec, in words of the program's size.
    """
    if not auxv:
        return None
    for word, kind in ("Q", ElfKind.X86_64), ("I", ElfKind.I386):
        numbers = array(word, auxv[: len(auxv) & -8])
        entries = dict(zip(numbers[::2], numbers[1::2], strict=False))
        if entries.get(_AT_PHENT) == _PHDR_SIZES[kind]:
            # Only genuine 32-bit programs have AT_SYSINFO, a kernel entry point.
            old = kind is ElfKind.X86_64 or _AT_SYSINFO in entries
            return kind if old else ElfKind.X32
    return ElfKind.OTHER
