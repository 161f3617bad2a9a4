# SPDX-License-Identifier: GPL-2.0-only
"""Looks for new processes in /proc, at a price that can be paid all day.

A look costs one read if no process has been born since the last one. Else the numbers
of all processes are listed, and only new ones are looked at: for some looks, since who
is born runs its program a moment later, and now and then after that, since a process
may run another program or be moved to another group at any time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from ubypass.process.status import start_time
from ubypass.service.cgroup import containers, own_path, units
from ubypass.service.rules import Facts

__all__ = ["Changes", "Scanner", "parent_of", "read_facts"]

_YOUNG = 3  # looks at a new process, one after the other
_TURN = 30  # looks in which each process has been looked at again
_LISTED = 8  # looks after which processes are listed whatever the kernel says


@dataclass(slots=True)
class Changes:
    """``seen``: who is new, or not as before; ``gone``: numbers of who has ended."""

    seen: list[Facts] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Known:
    inode: int
    facts: Facts | None  # None: not to be looked into
    looks: int = 1


class Scanner:
    """Remembers what it has seen; ``proc`` is where /proc is mounted."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = str(proc)
        self._known: dict[int, _Known] = {}
        self._young: set[int] = set()
        self._turn: list[int] = []
        self._last_born = ""
        self._since_list = _LISTED

    @property
    def facts(self) -> list[Facts]:
        """What is known of each process, as of the last look."""
        return [each.facts for each in self._known.values() if each.facts is not None]

    def look(self) -> Changes:
        """What has changed since the last look."""
        changes = Changes()
        born = self._newest()
        self._since_list += 1
        fresh: set[int] = set()
        if not born or born != self._last_born or self._since_list >= _LISTED:
            fresh = self._list(changes)
            self._last_born, self._since_list = born, 0
        for pid in (self._young | set(self._some())) - fresh:
            self._look_again(pid, changes)
        return changes

    def _list(self, changes: Changes) -> set[int]:
        """Notice who has come and gone; the numbers of who has come."""
        with os.scandir(self._proc) as entries:
            now = {int(e.name): e.inode() for e in entries if e.name.isdigit()}
        for pid in self._known.keys() - now.keys():
            self._drop(pid, changes)
        fresh = set()
        for pid, inode in now.items():
            known = self._known.get(pid)
            # /proc makes another inode for another process with that number; and now
            # and then for the same, when it was short of memory.
            if known is None or known.inode != inode:
                fresh.add(pid)
                facts = read_facts(pid, self._proc)
                self._known[pid] = _Known(inode, facts)
                self._young.add(pid)
                if facts is not None:
                    changes.seen.append(facts)
                elif known is not None and known.facts is not None:
                    changes.gone.append(pid)
        return fresh

    def _look_again(self, pid: int, changes: Changes) -> None:
        known = self._known.get(pid)
        if known is None:
            return
        known.looks += 1
        if known.looks >= _YOUNG:
            self._young.discard(pid)
        facts = read_facts(pid, self._proc)
        if facts == known.facts:
            return
        if facts is None:
            # It has ended, or is about to; who is born under its number is listed.
            known.facts = None
            changes.gone.append(pid)
        else:
            known.facts = facts
            changes.seen.append(facts)

    def _drop(self, pid: int, changes: Changes) -> None:
        if self._known.pop(pid).facts is not None:
            changes.gone.append(pid)
        self._young.discard(pid)

    def _some(self) -> list[int]:
        """A share of all processes, by turns."""
        if not self._turn:
            self._turn = list(self._known)
        share = -(-len(self._known) // _TURN)
        some, self._turn = self._turn[:share], self._turn[share:]
        return some

    def _newest(self) -> str:
        """The number that was last given to a process; "" if it cannot be told."""
        try:
            with open(f"{self._proc}/loadavg") as file:
                return file.read().split()[4]
        except (OSError, IndexError):
            return ""


def read_facts(pid: int, proc: str = "/proc") -> Facts | None:
    """What rules ask about; None for kernel threads and for who has ended."""
    place = f"{proc}/{pid}"
    try:
        exe = os.readlink(f"{place}/exe")
        with open(f"{place}/cgroup", errors="replace") as file:
            cgroup = own_path(file.read())
        uid = _uid(place)
        start = start_time(pid) if proc == "/proc" else 0
    except OSError:
        return None
    if start is None:
        return None
    return Facts(
        pid=pid,
        start=start,
        # Whose package was upgraded runs a file that was deleted.
        exe=exe.removesuffix(" (deleted)"),
        uid=uid,
        cgroup=cgroup,
        units=units(cgroup),
        containers=containers(cgroup),
    )


def parent_of(pid: int) -> int:
    """The process that has started it, or has adopted it since; 0 if there is none."""
    try:
        with open(f"/proc/{pid}/status", errors="replace") as file:
            for line in file:
                if line.startswith("PPid:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def _uid(place: str) -> int:
    """The effective user. Not the owner of the directory: root for some programs."""
    with open(f"{place}/status", errors="replace") as file:
        for line in file:
            if line.startswith("Uid:"):
                return int(line.split()[2])
    return -1
