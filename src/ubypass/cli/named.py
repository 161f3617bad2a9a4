# SPDX-License-Identifier: GPL-2.0-only
"""Which processes a word of the command line means; the same for every verb.

812                      the process with that number
redis-server             all with that name, of the command or of its program
nginx.service            all of that unit of systemd; also web.slice, x.scope
unit:nginx               the same
/usr/sbin/nginx          all that run that program
cgroup:/system.slice     all in that control group, or below; /sys/fs/cgroup/... too
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from ubypass.cli.options import number
from ubypass.errors import UbError, UsageError
from ubypass.service.rules import Facts
from ubypass.service.scan import read_facts

__all__ = ["PROCESS", "is_number", "one_process", "processes"]

#: For help and metavars.
PROCESS = "a process: PID, name, program's path, UNIT.service, or cgroup:PATH"

_UNIT = re.compile(r".\.(service|scope|slice|socket|mount|swap)$")
_CGROUPS = "/sys/fs/cgroup"
_NAME_MOST = 15  # letters of a command's name that the kernel keeps
_SHOWN = 8


def processes(word: str) -> list[int]:
    """Their numbers, one or more. Raises ``UbError`` if there are none."""
    if is_number(word):
        return [number(word)]
    what, matches = _meaning(word)
    found = [facts.pid for facts in _all() if matches(facts)]
    if not found:
        raise UbError(f"no process {what}", "see 'ps -e' for those there are")
    return found


def one_process(word: str) -> int:
    """The only one. Raises ``UbError`` if there are more, or none."""
    found = processes(word)
    if len(found) > 1:
        numbers = ", ".join(map(str, found[:_SHOWN]))
        more = "" if len(found) <= _SHOWN else ", ..."
        raise UbError(
            f"{len(found)} processes are meant by {word!r}: {numbers}{more}",
            "name one of them by its number",
        )
    return found[0]


def is_number(word: str) -> bool:
    """Whether it can only be a number, if perhaps no good one."""
    return bool(re.fullmatch(r"-?[0-9]+", word, re.ASCII))


def _meaning(word: str) -> tuple[str, Callable[[Facts], bool]]:
    """What is to be said if nothing matches, and what matches."""
    kind, colon, rest = word.partition(":")
    if not colon or kind not in ("unit", "cgroup", "name", "exe"):
        kind, rest = _kind(word), word
    if not rest:
        raise UsageError(f"{word!r} names no process", f"name {PROCESS}")
    if kind == "unit":
        unit = rest if _UNIT.search(rest) else f"{rest}.service"
        return f"is in the unit {unit}", lambda facts: unit in facts.units
    if kind == "cgroup":
        path = "/" + rest.removeprefix(_CGROUPS).strip("/")
        below = path.rstrip("/") + "/"
        return (
            f"is in the control group {path}",
            lambda facts: facts.cgroup == path or facts.cgroup.startswith(below),
        )
    if kind == "exe":
        real = os.path.realpath(rest)
        return f"runs {rest}", lambda facts: facts.exe in (rest, real)
    return (
        f"is called {rest!r}",
        lambda facts: (
            PurePosixPath(facts.exe).name == rest
            or _command(facts.pid) == rest[:_NAME_MOST]
        ),
    )


def _kind(word: str) -> str:
    if word.startswith("/"):
        inside = word == _CGROUPS or word.startswith(_CGROUPS + "/")
        return "cgroup" if inside else "exe"
    return "unit" if _UNIT.search(word) else "name"


def _all() -> Iterator[Facts]:
    """Those that can be looked into, without this one; by number."""
    us = os.getpid()
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        facts = read_facts(pid) if pid != us else None
        if facts is not None:
            yield facts


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", errors="replace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""
