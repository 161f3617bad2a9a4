# SPDX-License-Identifier: GPL-2.0-only
"""How long the kernel waits for all tasks (RCU-tasks) beside a boosted loop.

In the guest: ``python -m tests.kernel.rcu_tasks PROGRAM SECONDS``. The loop has a
processor for itself, so nothing but the module ends its runs. A function tracer of an
instance is switched on and off, which waits for all tasks: those that are in the kernel
without a pause for as long as they are. Prints a line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_TRACING = Path("/sys/kernel/tracing")
_UB = (sys.executable, "-m", "ubypass.cli.main")
_TURNS = 3


def _switched(instance: Path) -> float:
    """Seconds for a tracer to come and go."""
    begun = time.monotonic()
    (instance / "current_tracer").write_text("function\n")
    (instance / "current_tracer").write_text("nop\n")
    return time.monotonic() - begun


def main() -> int:
    """Measure, while the loop runs for ``SECONDS`` at least."""
    program, seconds = sys.argv[1:]
    if not (_TRACING / "instances").is_dir():
        subprocess.run(["mount", "-t", "tracefs", "tracefs", _TRACING], check=True)
    os.sched_setaffinity(0, {0})
    instance = _TRACING / "instances" / "waiting"
    instance.mkdir()
    (instance / "set_ftrace_filter").write_text("schedule\n")
    with tempfile.TemporaryDirectory() as directory:
        summary = Path(directory) / "summary"
        options = ["-q", "--tune", "grace_ms=0", "--summary-file", str(summary)]
        loop = ["taskset", "-c", "1", program, seconds]
        with subprocess.Popen([*_UB, "run", *options, "--", *loop]) as running:
            time.sleep(float(seconds) / 2)
            waited = [_switched(instance) for _ in range(_TURNS)]
            ended = running.poll() is not None
        # taskset was another program of the same process.
        process = json.loads(summary.read_text())["processes"][-1]
    instance.rmdir()
    calls = process["native"] + process["dispatched"]
    share, runs = process["dispatched"] / calls, process["runs"]
    found = {"waited": waited, "share": share, "runs": runs, "ended": ended}
    print(json.dumps(found | {"calls": calls, "status": running.returncode}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
