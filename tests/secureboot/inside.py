# SPDX-License-Identifier: GPL-2.0-only
"""In the machine: types commands, and the commands that ``ub doctor`` prints.

``python -m tests.secureboot.inside WORK ROOT HEADERS STEP...`` prints one line of JSON
for each step: what was typed, its status and its output. A step is a command of the
shell, or ``do NAME``: the commands in the advice of the last ``ub doctor --json`` under
that name. ``WORK`` has the files of the test, ``ROOT`` the packages.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["DOCTOR", "PASSWORD", "Said", "advised", "main"]

DOCTOR = "ub doctor --json"
#: For the keys' manager, which asks for it, or parts of it, at the next boot.
PASSWORD = "four-words"
#: Where DKMS keeps the key of a machine.
_KEYS = Path("/var/lib/dkms")
_TIMEOUT = 900  # seconds for one command, in an emulator on a busy machine
_MOKUTIL = """#!/bin/sh
exec {root}/lib64/ld-linux-x86-64.so.2 --library-path {root}/usr/lib/x86_64-linux-gnu \\
    {root}/usr/bin/mokutil "$@"
"""

#: A line: typed, status, output.
Said = dict[str, str | int]


def main(work: Path, root: Path, headers: Path, steps: list[str]) -> int:
    """Do the steps; 0."""
    _prepare(work, root, headers)
    checks: dict[str, str] = {}
    for step in steps:
        typed = step
        if step.startswith("do "):
            typed = advised(checks.get(step.removeprefix("do "), ""))
        done = subprocess.run(
            ["sh", "-c", typed],
            input=f"{PASSWORD}\n{PASSWORD}\n",
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        )
        if typed == DOCTOR:
            rows = json.loads(done.stdout)["checks"]
            kernel = [row for row in rows if row["scope"] == "this kernel"]
            checks = {row["name"]: row["advice"] for row in kernel}
        line: Said = {
            "step": step,
            "typed": typed,
            "status": done.returncode,
            "said": done.stdout,
            "errors": done.stderr,
        }
        print(json.dumps(line), flush=True)
    return 0


def advised(advice: str) -> str:
    """The commands in an advice: what is typed before somebody has to reboot."""
    return re.split(r"(?:; |, then )?reboot\b", advice)[0] if advice else "false"


def _prepare(work: Path, root: Path, headers: Path) -> None:
    """What a Debian that boots by itself has, and the lab's guest has not."""
    _run("mount", "-t", "securityfs", "none", "/sys/kernel/security")
    _run("mount", "-t", "efivarfs", "none", "/sys/firmware/efi/efivars")
    mokutil = Path("/usr/local/sbin/mokutil")
    mokutil.write_text(_MOKUTIL.format(root=root))
    mokutil.chmod(0o755)
    _KEYS.mkdir(parents=True, exist_ok=True)
    for name in "mok.key", "mok.pub":
        shutil.copy(work / name, _KEYS)
    # As if the package with the headers were installed.
    modules = Path("/lib/modules", platform.release())
    made = Path("/run/headers")
    for name in "upper", "work":
        (made / name).mkdir(parents=True)
    (made / "upper/build").symlink_to(headers)
    options = f"lowerdir={modules},upperdir={made}/upper,workdir={made}/work"
    _run("mount", "-t", "overlay", "-o", options, "overlay", str(modules))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, env={**os.environ, "LC_ALL": "C"})


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:4]), sys.argv[4:]))
