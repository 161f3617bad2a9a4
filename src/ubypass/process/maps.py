# SPDX-License-Identifier: GPL-2.0-only
"""The memory map of a process, from ``/proc/PID/maps``.

Defines which addresses are *code*: text whose changes the kernel can notice. Does not
read the memory itself.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from ubypass.errors import UbError, permission_hint

__all__ = ["MemoryMap", "VmArea", "parse_maps", "read_maps"]


@dataclass(frozen=True, slots=True)
class VmArea:
    """One line of ``/proc/PID/maps``; addresses and ``offset`` in bytes.

    ``path``: as the kernel prints it: a file, a name such as ``[heap]``, or "".
    """

    start: int
    end: int
    readable: bool
    writable: bool
    executable: bool
    private: bool
    offset: int
    inode: int
    path: str
    device: int = 0  # the device of the file, as in ``st_dev``

    @property
    def is_code(self) -> bool:
        """Whether the module accepts code from here: r-xp, nothing else.

        Shared text can change through another mapping, writable text without a fault,
        and execute-only text (``[vsyscall]``) cannot be compared.
        """
        return (
            self.readable
            and self.executable
            and self.private
            and not self.writable
            and self.start < 1 << 63
        )

    @property
    def is_file(self) -> bool:
        """Whether a file backs the area."""
        return self.inode != 0 and self.path.startswith("/")


@dataclass(frozen=True, slots=True)
class MemoryMap:
    """All areas of a process, ascending, with look-up by address."""

    areas: tuple[VmArea, ...]
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", tuple(a.start for a in self.areas))

    def find(self, address: int) -> VmArea | None:
        """The area that contains ``address``, if any."""
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        area = self.areas[index]
        return area if address < area.end else None

    def code_end(self, address: int) -> int:
        """End of the unbroken run of code from ``address``.

        ``address`` itself when it is not in code.
        """
        end = address
        while (area := self.find(end)) is not None and area.is_code:
            end = area.end
        return end

    def readable_end(self, address: int) -> int:
        """End of the unbroken run of readable memory from ``address``."""
        end = address
        while (area := self.find(end)) is not None and area.readable:
            end = area.end
        return end


def parse_maps(lines: Iterable[str]) -> MemoryMap:
    """Parse the text of ``/proc/PID/maps``.

    Raises ``ValueError`` for a line that the kernel would not print.
    """
    return MemoryMap(tuple(_parse_line(line) for line in lines if line.strip()))


def read_maps(pid: int) -> MemoryMap:
    """The present memory map of process ``pid``; ``UbError`` if it cannot be read."""
    try:
        # File names are bytes, not necessarily UTF-8.
        with open(f"/proc/{pid}/maps", errors="surrogateescape") as maps:
            return parse_maps(maps)
    except PermissionError as error:
        raise UbError(
            f"cannot read the memory map of process {pid}: permission denied",
            permission_hint(),
        ) from error
    except (FileNotFoundError, ProcessLookupError) as error:
        raise UbError(f"process {pid} no longer exists") from error


def _parse_line(line: str) -> VmArea:
    # address perms offset dev inode path; the path may hold spaces.
    fields = line.rstrip("\n").split(None, 5)
    if len(fields) < 5 or len(fields[1]) != 4:
        raise ValueError(f"not a line of /proc/PID/maps: {line!r}")
    start, end = (int(part, 16) for part in fields[0].split("-"))
    perms = fields[1]
    return VmArea(
        start=start,
        end=end,
        readable=perms[0] == "r",
        writable=perms[1] == "w",
        executable=perms[2] == "x",
        private=perms[3] == "p",
        offset=int(fields[2], 16),
        inode=int(fields[4]),
        path=fields[5] if len(fields) > 5 else "",
        device=_device(fields[3]),
    )


def _device(word: str) -> int:
    major, _, minor = word.partition(":")
    return os.makedev(int(major, 16), int(minor, 16))
