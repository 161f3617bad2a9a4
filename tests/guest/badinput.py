# SPDX-License-Identifier: GPL-2.0-only
"""What a user can get wrong where the module is loaded."""

from __future__ import annotations

import subprocess
from typing import Any

from tests.guest.command import attached, run_ub
from tests.guest.program import PROGRAMS

__all__ = ["bad_input"]

_NOBODY = 65534


def bad_input() -> dict[str, Any]:
    """Answers of ``ub`` by what was wrong, and whether anything was attached."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    tiny32 = subprocess.Popen([PROGRAMS / "tiny32"])
    try:
        with subprocess.Popen(["sleep", "600"]) as program:
            pid = str(program.pid)
            answers = {
                "no-number": run_ub("attach", "12x"),
                "negative": run_ub("attach", "--", "-5"),
                "dead": run_ub("attach", str(dead.pid)),
                "kernel-thread": run_ub("attach", "2"),
                "32-bit": run_ub("attach", str(tiny32.pid)),
                "no-root": run_ub("attach", pid, user=_NOBODY),
                "no-root-run": run_ub("run", "--", "true", user=_NOBODY),
                "no-such-command": run_ub("run", "--", "/nonexistent"),
                "no-command": run_ub("run"),
                "bad-tunable": run_ub("attach", "--tune", "speed=11", pid),
            }
            still = program.poll() is None
            program.kill()
    finally:
        tiny32.kill()
        tiny32.wait()
    return {"answers": answers, "attached": attached(), "still_running": still}
