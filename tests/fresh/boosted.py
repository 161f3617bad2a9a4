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
import shutil
import subprocess
from pathlib import Path

from tests.fresh.machine import SUITE, Failed
from ubypass.bench.workloads import build_workload

__all__ = ["boosted"]

_ROOT = Path(__file__).resolve().parents[2]
_PLACE = "var/tmp/boosted"
#: In the guest: its mounts end with it.
_SCRIPT = """
set -e
root="$1" place="/$2"
for name in dev proc sys; do mount --rbind "/$name" "$root/$name"; done
inside() { chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin "$@"; }
loop() {
    seconds="$1"
    shift
    "$@" "$place/ioloop" --json --call pread --size 64 --sum --file "$place/ioloop" \
        --warmup-seconds "$seconds" --count 100000 --rounds 10
}
loop 0 inside > "$root$place/native"
inside ub module load
# The translator of the packages is not compiled, and shares the loop's processor.
loop 20 inside ub run --summary-file "$place/summary" -- > "$root$place/boosted"
inside ub module unload
"""


def boosted(root: Path, release: str, suite: str) -> str:
    """Boost a loop that reads a file; a line with what came of it. Raises Failed.

    What it reads must be the same as natively.
    """
    place = root / _PLACE
    ub = shlex.split(os.environ.get("UBYPASS_LAB_COMMAND", f"{_ROOT}/.venv/bin/ub"))
    command = [*ub, "lab", "run", "--icount", "--kernel", release]
    command += ["--timeout", "3600", "--boot-timeout", "900", "--share", str(root)]
    command += [] if suite == SUITE else ["--suite", suite]
    command += ["--", "sh", "-c", _SCRIPT, "sh", str(root), _PLACE]
    place.mkdir()
    try:
        shutil.copy(build_workload("ioloop"), place)
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            raise Failed(f"in the lab (status {done.returncode}):\n{done.stdout}")
        found, native, loop = (
            json.loads((place / name).read_text())
            for name in ("summary", "native", "boosted")
        )
    finally:
        shutil.rmtree(place)
    (process,) = found["processes"]
    # For how long it stays boosted the engine decides, by an emulator's clock here.
    if not process["dispatched"]:
        raise Failed(f"the loop was not boosted: {process}")
    if native["checksum"] != loop["checksum"]:
        raise Failed(f"it read something else: {loop}, natively {native}")
    share = f"{process['dispatched']:,} of {process['calls']:,}"
    return f"{share} system calls of a loop were dispatched, what it read is the same"
