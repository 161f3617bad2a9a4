# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.fresh [SCENARIO...]``: newcomers' ways, and how long they take."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.fresh.machine import Failed, Machine, fresh
from tests.fresh.scenarios import OPTIONAL, SCENARIOS, SECURITY

_ROOT = Path(__file__).resolve().parents[2]
_NEEDED = ("debootstrap", "unshare", "chroot", "git", "apt-get")


def main() -> int:
    """Run them; 1 if one failed, 2 if this machine cannot."""
    parser = argparse.ArgumentParser(prog="tests.fresh", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    parser.add_argument("--keep", action="store_true", help="leave the last machine")
    args = parser.parse_args()
    wanted = args.scenarios or [name for name in SCENARIOS if name not in OPTIONAL]
    if unknown := [name for name in wanted if name not in SCENARIOS]:
        parser.error(f"no scenario {unknown[0]}: there are {', '.join(SCENARIOS)}")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    os.environ["PATH"] = path
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if os.getuid() != 0 or missing:
        print("this needs root and", ", ".join(missing or _NEEDED), file=sys.stderr)
        return 2
    place = _ROOT / "build" / "fresh"
    place.mkdir(parents=True, exist_ok=True)
    source = _source(place)
    return max([_scenario(name, place, source, args.keep) for name in wanted])


def _source(place: Path) -> Path:
    """A repository of the last commit, to be cloned."""
    source = place / "ubypass.git"
    if source.exists():
        shutil.rmtree(source)
    git = ["git", "-C", str(_ROOT), "-c", f"safe.directory={_ROOT}"]
    command = ["git", "clone", "--quiet", "--bare", "--no-local", "--single-branch"]
    subprocess.run([*command, str(_ROOT), str(source)], check=True)
    changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True)
    if changes.stdout:
        print("note: what is not committed is not tried")
    return source


def _scenario(name: str, place: Path, source: Path, keep: bool) -> int:
    scenario = SCENARIOS[name]
    print(f"{name}: {scenario.__doc__}", flush=True)
    begun = time.monotonic()
    machine = None
    try:
        machine = fresh(place, source, name, security=SECURITY[name])
        scenario(machine)
    except Failed as error:
        print(f"  FAILED: {error}\n  all of it: {place / name}.log", flush=True)
        return 1
    else:
        print(f"  ok, {time.monotonic() - begun:.0f} s in all", flush=True)
        return 0
    finally:
        if machine is not None:
            _times(machine)
            if not keep:
                shutil.rmtree(machine.root)


def _times(machine: Machine) -> None:
    """What was typed, and what it took to the first demo that showed its table."""
    spent = cpu = 0.0
    for number, done in enumerate(machine.typed, 1):
        spent += done.seconds
        cpu += done.cpu
        state = "" if done.status == 0 else f"  (status {done.status})"
        times = f"{done.seconds:6.1f} s, {done.cpu:6.1f} s of CPU"
        print(f"  {times}  {done.command[:48]}{state}")
        if done.command == "make demo" and done.status == 0:
            print(
                f"  first success: {number} commands, {spent:.0f} s, {cpu:.0f} s of CPU"
            )
            break


if __name__ == "__main__":
    sys.exit(main())
