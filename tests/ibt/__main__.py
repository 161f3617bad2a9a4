# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.ibt``: the module under indirect branch tracking (IBT), in Bochs.

Boots Debian 13's kernel on an emulated processor with CET, loads the module (with its
self-test) and runs a translation by hand and loops around system calls. The kernel
stops with a BUG at each indirect branch of the module that does not end at an
`endbr64`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.ibt import bochs, image
from tests.ibt.inside import KINDS
from tests.places import ROOT
from ubypass.errors import UbError
from ubypass.lab import kernels
from ubypass.lab.logcheck import log_problems
from ubypass.module.build import build_module

_HERE = Path(__file__).parent
_WORK = ROOT / "build" / "tests" / "ibt"
_SUITE = "trixie"
_TURNS = 20_000
_LEAST = 0.9  # share of the calls that are dispatched
_PYTHON = f"{sys.executable} -m"
_TRACKED = "CET detected: Indirect Branch Tracking enabled"

_COMMAND = f"""
cd {ROOT}
export UBYPASS_CHECKOUT=1 PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1
insmod MODULE || exit 1
{_PYTHON} tests.kernel.handmade {_WORK}/loop {_TURNS} || exit 1
{_PYTHON} tests.ibt.inside {_WORK}/calls {_TURNS} || exit 1
for i in 1 2 3 4 5 6 7 8 9 10; do rmmod ub 2>/dev/null && exit 0; sleep 1; done
exit 1
"""


def main() -> int:
    """Try it; 1 if something is not right."""
    parser = argparse.ArgumentParser(prog="tests.ibt", description=__doc__)
    parser.add_argument("--timeout", type=float, default=1800, help="of the machine, s")
    parser.add_argument("--suite", default=_SUITE, help="of the kernel")
    args = parser.parse_args()
    try:
        problems = judge(_run(args.suite, args.timeout))
    except UbError as error:
        print(error, file=sys.stderr)
        return 1
    for problem in problems:
        print(f"NOT RIGHT: {problem}")
    return 1 if problems else 0


def _run(suite: str, timeout: float) -> str:
    """What the machine said."""
    os.environ["UB_WERROR"] = "1"
    release = kernels.default_release(suite)
    kernel = kernels.fetch_kernel(release, print, suite=suite)
    built = ROOT / "build" / "kernel" / release
    module = build_module(release, ROOT / "kernel", built, suite=suite, report=print)
    _WORK.mkdir(parents=True, exist_ok=True)
    programs = [
        _program(ROOT / "tests" / "kernel" / "loop.c"),
        _program(_HERE / "calls.c"),
    ]
    command = _WORK / "command"
    command.write_text(_COMMAND.replace("MODULE", str(module)))
    files = [
        *(module, *programs, command, ROOT / "pyproject.toml"),
        *(ROOT / "tests").glob("*.py"),
        *(ROOT / "kernel" / "include" / "uapi").glob("*.h"),
    ]
    directories = [ROOT / "src", ROOT / "build" / "compiled"]
    directories += [ROOT / "tests" / "kernel", _HERE]
    print("packing the initial files")
    init = (_HERE / "init.sh").read_bytes().replace(b"COMMAND", bytes(command))
    initrd = image.initial_files(kernel, init, files, directories, _WORK)
    print(f"booting {release} in Bochs, with {initrd.stat().st_size >> 20} MiB")
    said = bochs.run(kernel.image, initrd, _WORK, timeout)
    print("".join(f"{line}\n" for line in said.splitlines() if line[:1] != "<"))
    return said


def _program(source: Path) -> Path:
    program = _WORK / source.stem
    command = ["gcc", "-O2", "-ftree-vectorize", "-o", str(program), str(source)]
    subprocess.run(command, check=True)
    return program


def judge(said: str) -> list[str]:
    """What is not right about the console's output of the machine."""
    problems = [*log_problems(said, "=== command")]
    for wanted in (_TRACKED, "ub: self-test passed: ", "=== status 0"):
        if wanted not in said:
            problems.append(f"not said: {wanted}")
    if "Missing ENDBR" in said:
        problems.append("an indirect branch ended elsewhere")
    handmade = re.search(r"left 0 r8 1111 r12 2222 rcx resume; dispatched (\d+)", said)
    if not handmade or int(handmade[1]) < _LEAST * _TURNS:
        problems.append("the translation by hand")
    lines = re.findall(r'^\{"kind".*\}', said, re.MULTILINE)
    found = {line["kind"]: line for line in map(json.loads, lines)}
    for kind, numbers in KINDS.items():
        line = found.get(kind)
        if not line:
            problems.append(f"{kind}: nothing said")
        elif line["said"] != "wrong 0":
            problems.append(f"{kind}: {line['said']}")
        elif line["dispatched"] < _LEAST * _TURNS * len(numbers):
            problems.append(f"{kind}: only {line['dispatched']} calls dispatched")
    return problems


if __name__ == "__main__":
    sys.exit(main())
