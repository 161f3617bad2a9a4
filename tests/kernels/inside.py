# SPDX-License-Identifier: GPL-2.0-only
"""What is tried on each kernel: ``python -m tests.kernels.inside [CHECK...]``.

In the guest. Prints one line of JSON for each check: its name, what was found, and
whether that is right. Ends with 1 if one is not. Those of `COUNTED` are for a boot of
their own: they are done if they are named.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.kernels.checks import CHECKS, COUNTED, Check
from tests.kernels.programs import PROGRAMS
from ubypass.bench.records import read_records

_ROOT = Path(__file__).resolve().parents[2]
_UB = (sys.executable, "-m", "ubypass.cli.main")
_ATTACKS = Path("/sys/devices/system/cpu/vulnerabilities")
_SAFE = "Not affected"
_CALLS = 200_000  # of the loop that is translated by hand
_NATIVE_SECONDS = "3"
# Of each boosted program: emulated ones are slow to get hot. The second if too little
# was dispatched in the first, as on a busy machine.
_SECONDS = ("12", "60")
_LEAST = 0.05  # share of calls that are dispatched, at least, on a busy machine
_UNLOADING = 60.0  # seconds until nobody is inside any more


def _run(command: list[str]) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT)
    return done.returncode, (done.stdout + done.stderr).strip()


def _mitigations() -> tuple[bool, str]:
    """What the kernel does against attacks, without what the processor is safe from."""
    said = {file.name: file.read_text().strip() for file in sorted(_ATTACKS.iterdir())}
    # "Vulnerable" may be followed by what is done all the same: buffers are cleared
    # even where the microcode is not known to do it.
    done = (
        f"{name}: {text.removeprefix('Mitigation: ')}"
        for name, text in said.items()
        if text != _SAFE
    )
    return True, "; ".join(done)


def _load() -> tuple[bool, str]:
    status, said = _run([*_UB, "module", "load"])
    return status == 0, said.splitlines()[0] if said else ""


def _handmade() -> tuple[bool, str]:
    """Registers are exact, and all but a few calls are dispatched."""
    program = str(PROGRAMS / "loop")
    status, said = _run(
        [sys.executable, "-m", "tests.kernel.handmade", program, str(_CALLS)]
    )
    found = re.search(r"dispatched (\d+)", said)
    dispatched = int(found[1]) if found else 0
    right = "left 0 r8 1111 r12 2222 rcx resume" in said
    good = status == 0 and right and dispatched >= 0.99 * _CALLS
    registers = "registers exact" if right else f"wrong: {said[-200:]}"
    return good, f"{dispatched:,} of {_CALLS:,} calls dispatched, {registers}"


def _boosted(program: str, *arguments: str) -> Callable[[], tuple[bool, str]]:
    """A program that checks itself, natively and boosted."""

    def check() -> tuple[bool, str]:
        command = [str(PROGRAMS / program), *arguments]
        status, said = _run([*command, _NATIVE_SECONDS])
        if status != 0:
            return False, f"natively: status {status}, {said[-200:]}"
        for seconds in _SECONDS:
            with tempfile.TemporaryDirectory() as directory:
                file = Path(directory) / "summary"
                options = ["-q", "--tune", "grace_ms=0", "--summary-file", str(file)]
                status, said = _run([*_UB, "run", *options, "--", *command, seconds])
                text = file.read_text() if file.exists() else '{"processes": []}'
            processes = json.loads(text)["processes"]
            dispatched = sum(each["dispatched"] for each in processes)
            calls = sum(each["native"] + each["dispatched"] for each in processes)
            good = status == 0 and dispatched > 0 and dispatched >= _LEAST * calls
            if good or status != 0:
                break
        return good, f"{dispatched:,} of {calls:,} calls dispatched; {said[-200:]}"

    return check


def _unload() -> tuple[bool, str]:
    end = time.monotonic() + _UNLOADING
    while True:
        status, said = _run([*_UB, "module", "unload"])
        if status == 0 or time.monotonic() > end:
            return status == 0, said.splitlines()[0] if said else ""
        time.sleep(0.5)


def _cost() -> tuple[bool, str]:
    """Instructions of loops, natively and boosted; their data must be the same."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "records.json"
        status, said = _run([*_UB, "bench", "io", "--quick", "--json", str(file)])
        if not file.exists():
            return False, said[-200:]
        records = [each for each in read_records(file) if not each.sum]
    costs = (
        f"{each.workload} {each.native:,.0f} → {each.boosted:,.0f}" for each in records
    )
    return status == 0, "; ".join(costs)


_ALL: dict[Check, Callable[[], tuple[bool, str]]] = {
    Check.BOOTED: _mitigations,
    Check.LOADED: _load,
    Check.EXACT: _handmade,
    Check.GETPPID: _boosted("turns", "getppid"),
    Check.VECTOR: _boosted("turns", "pread"),
    Check.RSEQ: _boosted("rseq"),
    Check.UNLOADED: _unload,
    Check.COST: _cost,
}


def main() -> int:
    """Do the checks, in order; if the module does not load, the rest is left out."""
    wanted = sys.argv[1:]
    failed = False
    for check in CHECKS:
        chosen = check.value in wanted if wanted else check not in COUNTED
        if check not in _ALL or not chosen:
            continue
        good, found = _ALL[check]()
        line = {"check": check.value, "good": good, "found": found}
        print(json.dumps(line), flush=True)
        failed |= not good
        if check is Check.LOADED and not good:
            break
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
