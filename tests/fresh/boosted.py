# SPDX-License-Identifier: GPL-2.0-only
"""A program boosted in the lab by what packages have installed in a root directory.

The module is the one that dkms has built there, so the lab boots the kernel for whose
headers that was. It takes instructions for time: what boosting gains must not depend on
how busy this machine is. ``UBYPASS_LAB_COMMAND`` names another command than this
checkout's ``ub``: one that waits for its turn, say.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

from tests.fresh.machine import SUITE, Failed

__all__ = ["boosted"]

_ROOT = Path(__file__).resolve().parents[2]
_SUMMARY = "var/tmp/summary.json"
#: In the guest: its mounts end with it.
_SCRIPT = """
set -e
for place in dev proc sys; do mount --rbind /$place "$1/$place"; done
inside() { chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin "$@"; }
root="$1"
inside ub module load
inside ub run --summary-file "/$2" -- \\
    dd if=/dev/zero of=/dev/null bs=64 count=5000000 status=none
inside ub module unload
"""


def boosted(root: Path, release: str, suite: str) -> str:
    """Boost ``dd`` there; a line with what came of it. Raises Failed."""
    summary = root / _SUMMARY
    ub = shlex.split(os.environ.get("UBYPASS_LAB_COMMAND", f"{_ROOT}/.venv/bin/ub"))
    command = [*ub, "lab", "run", "--icount", "--kernel", release]
    command += ["--timeout", "3600"]
    command += [] if suite == SUITE else ["--suite", suite]
    command += ["--share", str(root), "--", "sh", "-c", _SCRIPT, "sh", str(root)]
    done = subprocess.run(
        [*command, _SUMMARY],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        if done.returncode != 0:
            raise Failed(f"in the lab (status {done.returncode}):\n{done.stdout}")
        found = json.loads(summary.read_text())
    finally:
        summary.unlink(missing_ok=True)
    (process,) = found["processes"]
    calls, dispatched = process["calls"], process["dispatched"]
    # For how long it stays boosted is the engine's decision, and other tests' subject.
    if not dispatched:
        raise Failed(f"dd was not boosted: {process}")
    return f"{dispatched:,} of {calls:,} system calls of dd were dispatched"
