# SPDX-License-Identifier: GPL-2.0-only
"""``ub selftest``: whether boosting works here, and correctly.

A program of the system, dd, copies a file in blocks of a few bytes, with two calls for
each. It runs under ``ub run``, as started by a user, until enough calls were
dispatched; every byte of each copy is compared, and warnings of the kernel are looked
for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ubypass import child
from ubypass.cli.options import add_json, whole
from ubypass.cli.progress import progress
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError
from ubypass.places import own_environment

__all__ = ["VERB", "Copied", "Tested", "configure", "judge", "run"]


#: Version of the output of ``--json``; new keys do not change it.
_VERSION = 1
_CALLS = 100_000
_BLOCK = 4  # bytes: dd makes two calls per block
_SIZES = tuple(1 << bits for bits in (20, 22, 24, 25))  # bytes, ascending
_IN_MEMORY = Path("/dev/shm")
_TAINTED = Path("/proc/sys/kernel/tainted")
#: Bits of the taint: an oops, and a warning
#: (Documentation/admin-guide/tainted-kernels.rst).
_COMPLAINTS = {7: "oops or BUG", 9: "warning"}


@dataclass(frozen=True, slots=True)
class Copied:
    """One copy: its system ``calls``, those ``dispatched``, and dd's ``status``.

    ``right``: whether it equals the file; ``notes`` of the engine.
    """

    calls: int
    dispatched: int
    status: int
    right: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tested:
    """The verdict: ``ok``, in ``words``, with ``hint`` for the next step."""

    ok: bool
    words: str
    hint: str
    calls: int
    dispatched: int


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--calls",
        type=whole(1, 10_000_000),
        default=_CALLS,
        metavar="N",
        help="system calls that must be dispatched in the kernel (default: "
        f"{_CALLS:,})",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Test and print the verdict; 0 if the test has passed, else 1."""
    from ubypass.device.client import Device

    with Device():
        pass  # raises UbError with the reason and a remedy
    before, began = _complaints(), time.monotonic()
    copies: list[Copied] = []
    with (
        progress("selftest", lines=not args.json) as report,
        tempfile.TemporaryDirectory(dir=_place(), prefix="ub-selftest-") as directory,
    ):
        for size in _SIZES:
            report(f"copying {size >> 20} MiB with dd, {_BLOCK} bytes per call")
            copies.append(_copy(Path(directory), size))
            made = sum(copy.dispatched for copy in copies)
            if made >= args.calls or not copies[-1].right or copies[-1].status:
                break
    tested = judge(copies, args.calls, sorted(_complaints() - before))
    seconds = time.monotonic() - began
    if args.json:
        found = {"version": _VERSION, **asdict(tested), "seconds": round(seconds, 3)}
        print(json.dumps(found, indent=1))
    else:
        print(f"{'passed' if tested.ok else 'FAILED'}: {tested.words}")
        if tested.hint:
            print(f"    {tested.hint}")
    return 0 if tested.ok else 1


def judge(copies: Iterable[Copied], wanted: int, complaints: Iterable[str]) -> Tested:
    """The verdict on ``copies``; ``wanted``: number of calls to be dispatched."""
    copies, complaints = list(copies), list(complaints)
    calls = sum(copy.calls for copy in copies)
    made = sum(copy.dispatched for copy in copies)

    def failed(words: str, hint: str) -> Tested:
        return Tested(False, words, hint, calls, made)

    if complaints:
        return failed(
            f"the kernel has logged a problem: {', '.join(complaints)}",
            "run 'ub module unload', and please report the output of dmesg",
        )
    if not all(copy.right for copy in copies):
        return failed(
            "a boosted copy differs from its original",
            "run 'ub module unload', and please report this bug",
        )
    for copy in copies:
        if copy.status:
            return failed(f"dd ended with status {copy.status}", "its message is above")
    if made < wanted:
        notes = [note for copy in copies for note in copy.notes]
        why = f": {notes[-1]}" if notes else ""
        return failed(
            f"only {made:,} of {wanted:,} calls were dispatched in the kernel{why}",
            "'ub doctor' shows what is missing on this machine",
        )
    words = f"{made:,} of {calls:,} calls dispatched in the kernel, all bytes correct"
    return Tested(True, words, "", calls, made)


def _place() -> Path | None:
    """The directory for files: in memory if possible."""
    return _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None


def _copy(directory: Path, size: int) -> Copied:
    """Copy ``size`` random bytes by a boosted dd. Raises UbError."""
    source, copy, summary = (directory / name for name in ("file", "copy", "summary"))
    content = os.urandom(size)
    source.write_bytes(content)
    copy.unlink(missing_ok=True)
    words = [f"if={source}", f"of={copy}", f"bs={_BLOCK}", "status=none"]
    command = [sys.executable, "-m", "ubypass.cli.main", "run", "--quiet"]
    command += ["--tune=grace_ms=0", f"--summary-file={summary}", "--", "dd", *words]
    environment = {**own_environment(), "LC_ALL": "C"}
    process = child.start(command, env=environment, stdin=subprocess.DEVNULL)
    try:
        status = process.wait()
    finally:
        child.end(process)
    try:
        (found,) = json.loads(summary.read_text())["processes"]
        arrived = copy.read_bytes()
    except (OSError, ValueError) as error:
        raise UbError(
            f"'ub run -- dd' failed (status {status})",
            "its message is above; 'ub doctor' shows what is missing on this machine",
        ) from error
    return Copied(
        calls=found["calls"],
        dispatched=found["dispatched"],
        status=status,
        right=arrived == content,
        notes=tuple(found["notes"]),
    )


def _complaints() -> set[str]:
    """The kernel's warnings since its boot, from its taint."""
    bits = int(_TAINTED.read_text())
    return {words for bit, words in _COMPLAINTS.items() if bits >> bit & 1}


VERB = Verb("selftest", "boost a program here, and check its output", configure, run)
