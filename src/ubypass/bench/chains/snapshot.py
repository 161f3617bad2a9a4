# SPDX-License-Identifier: GPL-2.0-only
"""A captured chain: its files, its contents, and the processors that can replay it.

A capture is a directory: the files that ``capture.c`` describes, and ``capture.json``
with the origin. The directory can be copied to another machine.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubypass import processor
from ubypass.bench.server.gaps import paths as read_paths
from ubypass.engine.growth import TracedPath
from ubypass.errors import UbError
from ubypass.process.maps import MemoryMap, VmArea

__all__ = ["Answer", "Area", "Call", "Capture", "Origin", "load", "save_origin"]

FORMAT = 1
_ORIGIN = "capture.json"
# struct user_regs_struct (sys/user.h), and our order: that of the hardware.
_REGS = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx"),
    *("rdx", "rsi", "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base"),
    *("gs_base", "ds", "es", "fs", "gs"),
)
_ORDER = (
    *("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
)


@dataclass(frozen=True, slots=True)
class Origin:
    """The program and the processor of a capture.

    ``request_ns``: CPU time per request, measured apart from the capture; ``requests``:
    requests in the chain; ``isolated``: whether the kernel switched page tables at
    system calls; None: unknown.
    """

    name: str
    cpu: str
    features: frozenset[str]
    request_ns: float | None = None
    requests: float | None = None
    isolated: bool | None = None


@dataclass(frozen=True, slots=True)
class Area:
    """An area of readable memory; ``offset``: its position in the file ``memory``."""

    start: int
    end: int
    writable: bool
    executable: bool
    offset: int
    path: str


@dataclass(frozen=True, slots=True)
class Call:
    """One system call: address of its instruction, number and result.

    ``kind`` of its first argument: s(tream socket), d(atagram socket), f(ile), o(ther),
    - no descriptor. ``changes``: addresses and new values of the memory words that the
    call changed.
    """

    site: int
    nr: int
    result: int
    kind: str
    changes: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of the vDSO function at ``entry``, and the two words at the addresses
    in rdi and rsi then.
    """

    entry: int
    result: int
    rdi: int
    at_rdi: tuple[int, int]
    rsi: int
    at_rsi: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Capture:
    """A capture with its code, as :class:`ubypass.region.reader.CodeReader`."""

    folder: Path
    origin: Origin
    areas: tuple[Area, ...]
    registers: tuple[int, ...]
    rip: int
    flags: int
    fsbase: int
    parts: tuple[tuple[int, bytes], ...]
    paths: tuple[TracedPath, ...]
    calls: tuple[Call, ...]
    answers: tuple[Answer, ...]

    @property
    def memory(self) -> Path:
        """The file with the contents of all areas."""
        return self.folder / "memory"

    @property
    def maps(self) -> MemoryMap:
        """The areas as a memory map."""
        return MemoryMap(
            tuple(
                VmArea(
                    a.start, a.end, True, a.writable, a.executable, True, 0, 0, a.path
                )
                for a in self.areas
            )
        )

    @property
    def vdso(self) -> Area | None:
        """The area with the vDSO."""
        return next((area for area in self.areas if area.path == "[vdso]"), None)

    def content(self, area: Area) -> bytes:
        """The contents of one area."""
        with self.memory.open("rb") as file:
            file.seek(area.offset)
            return file.read(area.end - area.start)

    def require_here(self) -> None:
        """Raise UbError unless this processor has the features of the original one."""
        missing = self.origin.features - processor.features()
        # Flags of virtualization and of the kernel do not matter.
        missing &= _code_features(self.origin.features)
        if missing:
            raise UbError(
                f"the capture of {self.origin.name} is of another processor, "
                f"{self.origin.cpu}, which has {', '.join(sorted(missing)[:6])}",
                "replay it on such a processor, or capture the program here",
            )


#: Flags in /proc/cpuinfo that user code can detect by running instructions.
_VISIBLE = (
    *("sse", "ssse", "avx", "bmi", "aes", "vaes", "sha", "adx", "fma", "movbe"),
    *("popcnt", "pclmul", "vpclmul", "gfni", "lzcnt", "abm", "f16c", "erms", "fsrm"),
    *("rdrand", "rdseed", "rdpid", "movdir", "clflush", "clwb", "xsave", "fsgsbase"),
    *("rdtscp", "serialize", "waitpkg", "cldemote", "rtm", "prefetch", "cx16", "pni"),
)


def _code_features(names: frozenset[str]) -> frozenset[str]:
    return frozenset(
        name for name in names if any(name.startswith(known) for known in _VISIBLE)
    )


def save_origin(folder: Path, origin: Origin) -> None:
    """Write the origin of the capture in ``folder``. Raises UbError."""
    data = dataclasses.asdict(origin)
    data["features"] = sorted(origin.features)
    data["format"] = FORMAT
    try:
        (folder / _ORIGIN).write_text(json.dumps(data, indent=2) + "\n")
    except OSError as error:
        raise UbError(f"cannot write to {folder}: {error.strerror}") from error


def load(folder: Path) -> Capture:
    """The capture in ``folder``. Raises UbError if there is none."""
    try:
        origin = _read_origin(json.loads((folder / _ORIGIN).read_text()))
        registers = dict(
            zip(
                _REGS,
                struct.unpack("<27Q", (folder / "registers").read_bytes()),
                strict=True,
            )
        )
        calls, answers = _read_calls((folder / "calls").read_text().splitlines())
        found = Capture(
            folder=folder,
            origin=origin,
            areas=tuple(_read_areas((folder / "areas").read_text().splitlines())),
            registers=tuple(registers[name] for name in _ORDER),
            rip=registers["rip"],
            flags=registers["eflags"],
            fsbase=registers["fs_base"],
            parts=_read_parts(folder),
            paths=tuple(read_paths((folder / "ways").read_text())),
            calls=calls,
            answers=answers,
        )
        size = found.memory.stat().st_size
    except OSError as error:
        raise UbError(
            f"{folder} contains no capture: {error.strerror}",
            "to make one: ub bench chains SUBJECT --save DIRECTORY",
        ) from error
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise UbError(f"the capture in {folder} is unreadable: {error}") from error
    whole = sum(area.end - area.start for area in found.areas)
    if size != whole or len(found.calls) != len(found.paths) or not found.calls:
        raise UbError(f"the capture in {folder} is incomplete")
    if registers["gs_base"]:
        raise UbError(
            f"{origin.name} uses the gs segment, which the replay does not support"
        )
    return found


def _read_origin(data: dict[str, Any]) -> Origin:
    if data.pop("format") != FORMAT:
        raise ValueError("it has another format")
    data["features"] = frozenset(data["features"])
    return Origin(**data)


def _read_areas(lines: list[str]) -> Iterator[Area]:
    for line in lines:
        start, end, permissions, offset, path = line.split(None, 4)
        yield Area(
            int(start, 16),
            int(end, 16),
            permissions[1] == "w",
            permissions[2] == "x",
            int(offset),
            "" if path == "-" else path,
        )


def _read_parts(folder: Path) -> tuple[tuple[int, bytes], ...]:
    """The parts of the vector state that are not in their initial state, by number."""
    state = (folder / "state").read_bytes()
    present = struct.unpack_from("<Q", state, 512)[0]
    found = []
    for line in (folder / "parts").read_text().splitlines():
        number, offset, size = (int(word) for word in line.split())
        if number == 1 or present >> number & 1:
            found.append((number, state[offset : offset + size]))
    return tuple(found)


def _read_calls(lines: list[str]) -> tuple[tuple[Call, ...], tuple[Answer, ...]]:
    calls: list[Call] = []
    changes: list[tuple[int, int]] = []
    answers = []
    head: list[str] | None = None

    def finish() -> None:
        if head is not None:
            site, nr, result, kind = head
            calls.append(
                Call(int(site, 16), int(nr), int(result, 16), kind, tuple(changes))
            )
            changes.clear()

    for line in lines:
        word, *rest = line.split()
        if word == "call":
            finish()
            head = rest
        elif word == "w":
            changes.append((int(rest[0], 16), int(rest[1], 16)))
        elif word == "time":
            v = [int(text, 16) for text in rest]
            answers.append(Answer(v[0], v[1], v[2], (v[3], v[4]), v[5], (v[6], v[7])))
        else:
            raise ValueError(f"unexpected word {word!r}")
    finish()
    return tuple(calls), tuple(answers)
