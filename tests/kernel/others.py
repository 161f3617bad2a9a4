# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: two programs, one attached, while others use a handler of theirs.

Prints one JSON object: for each stage what both saw of their calls (right, ended,
patched, strange), and how many of the attached one's were dispatched.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.guest.boost import Booster, booster

_CALLS = 200_000
_SECONDS = 90.0  # until a program is boosted, in an emulated machine
_SETTLED = 2.5  # seconds in which whoever comes or goes has been noticed


class Program:
    """A child that makes calls when told to, and says what they returned."""

    def __init__(self, path: str) -> None:
        self._child = subprocess.Popen(
            [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._child.pid

    def ask(self, call: str, count: int = _CALLS) -> None:
        assert self._child.stdin
        self._child.stdin.write(f"{call} {count}\n".encode())
        self._child.stdin.flush()

    def ready(self) -> bool:
        assert self._child.stdout
        return bool(select.select([self._child.stdout], [], [], 0)[0])

    def answer(self) -> list[int]:
        assert self._child.stdout
        return list(map(int, self._child.stdout.readline().split()))


def _load(module: str, how: str) -> int:
    """0, or the errno with which the kernel refused it."""
    done = subprocess.run(
        ["insmod", module, f"how={how}"], capture_output=True, text=True
    )
    said = {"busy": errno.EBUSY}
    return next(
        (code for word, code in said.items() if word in done.stderr.lower()),
        done.returncode,
    )


def _unload(patch: bool = False) -> None:
    if patch:
        folder = Path("/sys/kernel/livepatch/ub_others")
        (folder / "enabled").write_text("0")
        # What is left of the transition ends once all tasks have been through it.
        while folder.exists():
            time.sleep(0.1)
    for _ in range(100):
        if not subprocess.run(["rmmod", "ub_others"], capture_output=True).returncode:
            return
        time.sleep(0.1)
    raise AssertionError("ub_others is still loaded")


class Stages:
    """What was seen, stage by stage."""

    def __init__(self, boost: Booster, attached: Program, plain: Program) -> None:
        self._boost, self._attached, self._plain = boost, attached, plain
        self._target = boost.attach(attached.pid)
        self.seen: dict[str, object] = {}

    def rest(self) -> None:
        """Let the engine and the module notice what has changed."""
        self._boost.wait(lambda: False, _SETTLED)

    def look(self, name: str, call: str = "getppid") -> None:
        """Have both make calls."""
        before = self._target.refresh_stats().dispatched
        self._plain.ask(call)
        self._attached.ask(call)
        self._boost.wait(self._attached.ready, _SECONDS)
        seen = [self._attached.answer(), self._plain.answer()]
        dispatched = self._target.refresh_stats().dispatched - before
        self.seen[name] = {"saw": seen, "dispatched": dispatched}

    def until_boosted(self, name: str, call: str = "getppid") -> None:
        """Have the attached one make calls until most are dispatched."""
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            self.look(name, call)
            entry = self.seen[name]
            assert isinstance(entry, dict)
            if entry["dispatched"] > _CALLS // 2:
                return


@contextlib.contextmanager
def _stages(path: str) -> Iterator[Stages]:
    with booster() as boost:
        yield Stages(boost, Program(path), Program(path))


def _calls() -> int:
    return int(Path("/sys/module/ub_others/parameters/calls").read_text())


def main(module: str, program: str) -> int:
    seen: dict[str, object] = {}
    with _stages(program) as stages:
        stages.until_boosted("before")
        for how in ("end", "watch", "patch"):
            seen[f"load {how}"] = _load(module, how)
            stages.rest()
            before = _calls()
            stages.look(how)
            seen[f"counted {how}"] = _calls() - before
            _unload(how == "patch")
            stages.rest()
            stages.until_boosted(f"after {how}")
        seen["load direct"] = _load(module, "direct")
        seen |= stages.seen
    time.sleep(1.0)  # nothing is hooked any more
    for how in ("direct", "patch"):
        seen[f"load {how} first"] = _load(module, how)
        with _stages(program) as stages:
            stages.until_boosted(f"{how} first, getpid", "getpid")
            stages.look(f"{how} first")
            if how == "direct":
                seen["users"] = [
                    line
                    for line in Path("/sys/kernel/tracing/enabled_functions")
                    .read_text()
                    .splitlines()
                    if "__x64_sys_getp" in line
                ]
            seen |= stages.seen
        time.sleep(1.0)
        _unload(how == "patch")
    print(json.dumps(seen))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main(*sys.argv[1:]))
