# SPDX-License-Identifier: GPL-2.0-only
"""The processes that an argument of the command line means; the same for every verb.

812                      the process with that number
redis-server             all with that name, of the command or of the program
nginx.service            all in that systemd unit; also web.slice, x.scope
unit:nginx               the same
/usr/sbin/nginx          all that run that program
cgroup:/system.slice     all in that control group, or below; /sys/fs/cgroup/... too
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from ubypass.cli.options import PROCESS, number
from ubypass.errors import UbError, UsageError
from ubypass.service.rules import Facts
from ubypass.service.scan import read_facts

__all__ = ["is_number", "one_process", "processes"]

_UNIT = re.compile(r".\.(service|scope|slice|socket|mount|swap)$")
_CGROUPS = "/sys/fs/cgroup"
_NAME_MOST = 15  # letters of a command's name in the kernel
_SHOWN = 8


def processes(word: str) -> list[int]:
    """The pids for ``word``, one or more. Raises ``UbError`` if there are none."""
    if is_number(word):
        return [number(word)]
    what, matches = _meaning(word)
    found = [facts.pid for facts in _all() if matches(facts)]
    if not found:
        raise UbError(f"no process {what}", "'ps -e' lists all processes")
    return found


def one_process(word: str, why: str = "") -> int:
    """The only pid for ``word``. Raises ``UbError`` if there are more, or none.

    ``why``: the reason for only one, for the error's hint.
    """
    found = processes(word)
    if len(found) > 1:
        names = ", ".join(f"{pid} ({_command(pid) or '?'})" for pid in found[:_SHOWN])
        more = len(found) - _SHOWN
        raise UbError(
            f"{word!r} matches {len(found)} processes: {names}"
            + (f" and {more} more" if more > 0 else ""),
            (f"{why}: " if why else "") + "give the PID of one of them",
        )
    return found[0]


def is_number(word: str) -> bool:
    """Whether ``word`` is a number, valid or not."""
    return bool(re.fullmatch(r"-?[0-9]+", word, re.ASCII))


def _meaning(word: str) -> tuple[str, Callable[[Facts], bool]]:
    """The words for the error if nothing matches, and the predicate."""
    kind, colon, rest = word.partition(":")
    if not colon or kind not in ("unit", "cgroup", "name", "exe"):
        kind, rest = _kind(word), word
    if not rest:
        raise UsageError(f"{word!r} names no process", f"give {PROCESS}")
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
        f"has the name {rest!r}",
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
    """All processes that can be inspected, except this one, by number."""
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
