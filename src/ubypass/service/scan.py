# SPDX-License-Identifier: GPL-2.0-only
"""Scans /proc for new processes, at a low cost.

A scan costs one read if no process was created since the last one. Otherwise the PIDs
of all processes are listed, and only new processes are examined: in several scans,
since exec follows some time after fork, and at long intervals afterwards, since a
process may exec another program or be moved to another control group at any time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from ubypass.process.status import start_time
from ubypass.service.cgroup import containers, own_path, units
from ubypass.service.rules import Facts

__all__ = ["Changes", "Scanner", "parent_of", "read_facts"]

_YOUNG = 3  # consecutive scans that examine a new process
_TURN = 30  # scans in which each process is examined again once
_LISTED = 8  # scans after which processes are listed even without a new PID


@dataclass(slots=True)
class Changes:
    """``seen``: new and changed processes; ``gone``: PIDs of ended processes."""

    seen: list[Facts] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Known:
    inode: int
    facts: Facts | None  # None: a kernel thread, or ended
    looks: int = 1


class Scanner:
    """Scans processes and keeps their facts; ``proc``: the mount point of /proc."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = str(proc)
        self._known: dict[int, _Known] = {}
        self._young: set[int] = set()
        self._turn: list[int] = []
        self._last_born = ""
        self._since_list = _LISTED

    @property
    def facts(self) -> list[Facts]:
        """The facts of all processes, as of the last scan."""
        return [each.facts for each in self._known.values() if each.facts is not None]

    def look(self) -> Changes:
        """Scan; return the changes since the last scan."""
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
        """List all processes, record changes, and return the PIDs of new processes."""
        with os.scandir(self._proc) as entries:
            now = {int(e.name): e.inode() for e in entries if e.name.isdigit()}
        for pid in self._known.keys() - now.keys():
            self._drop(pid, changes)
        fresh = set()
        for pid, inode in now.items():
            known = self._known.get(pid)
            # A new process with a reused PID has a new inode in /proc. The same process
            # may also get a new inode, after memory pressure.
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
            # The process has ended or is ending; a new process with its PID is listed.
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
        """The next share of all processes, round-robin."""
        if not self._turn:
            self._turn = list(self._known)
        share = -(-len(self._known) // _TURN)
        some, self._turn = self._turn[:share], self._turn[share:]
        return some

    def _newest(self) -> str:
        """The PID of the newest process, as text; "" if unknown."""
        try:
            with open(f"{self._proc}/loadavg") as file:
                return file.read().split()[4]
        except (OSError, IndexError):
            return ""


def read_facts(pid: int, proc: str = "/proc") -> Facts | None:
    """The facts of a process; None for kernel threads and ended processes."""
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
        # After a package upgrade the file of a running program is deleted.
        exe=exe.removesuffix(" (deleted)"),
        uid=uid,
        cgroup=cgroup,
        units=units(cgroup),
        containers=containers(cgroup),
    )


def parent_of(pid: int) -> int:
    """The PID of the present parent, which may be a reaper; 0 if there is none."""
    try:
        with open(f"/proc/{pid}/status", errors="replace") as file:
            for line in file:
                if line.startswith("PPid:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def _uid(place: str) -> int:
    """The effective user. The owner of the directory may be root instead."""
    with open(f"{place}/status", errors="replace") as file:
        for line in file:
            if line.startswith("Uid:"):
                return int(line.split()[2])
    return -1
