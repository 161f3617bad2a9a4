# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.kernels [TARGET...]``: the module on the newest kernel of each.

Fetches kernel, headers and compiler of a suite, builds the module there, boots the lab
and runs the checks of `tests.kernels.inside`; with ``--guest-tests`` the tests of
tests/guest as well. What came out is kept in docs/kernels.json and written to
docs/kernels.md; targets that are not tried keep theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tests.kernels.checks import (
    COUNTED,
    TARGETS,
    Check,
    Result,
    Target,
    load,
    page,
    save,
)
from tests.kernels.programs import compile_programs
from tests.patient import PATIENT
from ubypass.errors import UbError
from ubypass.lab import kernels
from ubypass.lab.run import capture
from ubypass.module.build import build_module
from ubypass.places import build_dir, kernel_sources, module_file

_ROOT = Path(__file__).resolve().parents[2]
_RESULTS = _ROOT / "docs" / "kernels.json"
_PAGE = _ROOT / "docs" / "kernels.md"
_TIMEOUT = 1800.0  # seconds, of one machine: all checks take two or three minutes
_COUNTS = re.compile(r"\b(\d+) (passed|failed|skipped|errors?)\b")


def main() -> int:
    """Try the targets; 1 if something is not right with one."""
    parser = argparse.ArgumentParser(prog="tests.kernels", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--guest-tests", action="store_true", help="too; long")
    args = parser.parse_args()
    names = args.names or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"no target {unknown[0]}; there are {', '.join(TARGETS)}")
    os.environ["UB_WERROR"] = "1"
    compile_programs()
    tried = (_try(name, guest_tests=args.guest_tests) for name in names)
    results = [result for result in tried if result]
    _PAGE.write_text(page(load(_RESULTS)))
    print(f"written: {_PAGE.relative_to(_ROOT)}")
    good = len(results) == len(names) and all(each.passed for each in results)
    return 0 if good else 1


def _try(name: str, *, guest_tests: bool) -> Result | None:
    """None if there is no kernel to be had, which says nothing of the module."""
    target = TARGETS[name]
    suite = target.suite

    def report(phrase: str) -> None:
        if phrase:
            print(f"{name}: {phrase}", flush=True)

    try:
        release = _newest(target)
        headers = kernels.fetch_headers(release, report, suite=suite)
        kernels.fetch_kernel(release, report, suite=suite)
    except UbError as error:
        report(f"cannot be tried: {error.message}")
        return None
    result = Result(name, release, _compiler(headers))
    report(f"building for {release}")
    try:
        out = module_file(release).parent
        build_module(release, kernel_sources(), out, suite=suite, report=report)
        result.note(Check.BUILT, True)
        build_module(
            release,
            kernel_sources(),
            build_dir() / "kernel-bench" / release,
            subdir="bench",
            suite=suite,
            report=report,
        )
        _boot(result, report)
        _boot(result, report, counted=True)
    except UbError as error:
        failed = Check.BOOTED if result.good.get(Check.BUILT.value) else Check.BUILT
        result.note(failed, False, error.message.splitlines()[0])
    if guest_tests and target.processor == "max":
        _test(result, target, report)
    save(_RESULTS, result)
    for check, good in result.good.items():
        found = result.found[check]
        report(f"{check}: {'yes' if good else 'NO'}{f' ({found})' if found else ''}")
    return result


def _newest(target: Target) -> str:
    """The release that is tried. Raises UbError if there is none."""
    if not target.series:
        return kernels.default_release(target.suite, flavour=target.flavour)
    offered = kernels.offered_releases(target.series)
    if not offered:
        raise UbError(f"apt has no kernel {target.series} for this Debian")
    return offered[-1]


def _compiler(headers: Path) -> str:
    text = (headers / ".config").read_text(errors="replace")
    found = re.search(r'^CONFIG_CC_VERSION_TEXT=".*?(gcc-\d+) .*?([\d.]+)"', text, re.M)
    return f"{found[1]} ({found[2]})" if found else ""


def _boot(result: Result, report: kernels.Report, *, counted: bool = False) -> None:
    processor = TARGETS[result.name].processor
    options = replace(
        PATIENT,
        kernel=result.release,
        timeout=_TIMEOUT,
        suite=TARGETS[result.name].suite,
        # For counting the lab has a processor that copies by several instructions.
        cpu=None if counted and processor == "max" else processor,
        icount=counted,
        environment={"UBYPASS_CHECKOUT": "1", "PYTHONPATH": str(_ROOT)},
    )
    command = [sys.executable, "-m", "tests.kernels.inside"]
    command += [check.value for check in COUNTED] * counted
    done = capture(command, options, report=report)
    if not counted:
        result.note(Check.BOOTED, True)
    for line in done.stdout.decode().splitlines():
        said = json.loads(line)
        result.note(Check(said["check"]), said["good"], said["found"])
    if done.status not in (0, 1):
        print(done.stderr.decode(), file=sys.stderr)
    problems = done.log_problems
    if problems or not counted:
        result.note(Check.LOG, not problems, problems[0] if problems else "")


def _test(result: Result, target: Target, report: kernels.Report) -> None:
    """Run the guest tests, and note how many have passed."""
    report("running the guest tests")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n0",
        "-m",
        "guest",
        "tests/guest",
    ]
    variables = {
        kernels.SUITE_VARIABLE: target.suite,
        kernels.FLAVOUR_VARIABLE: target.flavour,
    }
    done = subprocess.run(
        command, cwd=_ROOT, env=os.environ | variables, capture_output=True, text=True
    )
    counts = _COUNTS.findall(done.stdout)
    for line in done.stdout.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            report(line)
    said = ", ".join(f"{number} {what}" for number, what in counts)
    result.note(Check.GUEST, done.returncode == 0, said)


if __name__ == "__main__":
    sys.exit(main())
