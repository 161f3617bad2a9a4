# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.soak [--minutes N] [--seed WORD]``: mixed stress in the lab.

Prints what was done, and its rates. Ends with 1 if a program computed something wrong,
and with 70 if the kernel complained. The same seed makes the same choices, but not at
the same times.
"""

from __future__ import annotations

import argparse
import secrets
import sys

from tests.soak.boot import RESULT, boot
from tests.soak.prepared import prepare
from ubypass.errors import UbError
from ubypass.lab.run import run


def main() -> int:
    """Prepare, boot, run."""
    parser = argparse.ArgumentParser(prog="tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, metavar="N")
    parser.add_argument("--seed", default=secrets.token_hex(4), metavar="WORD")
    parser.add_argument(
        "--pti",
        choices=("on", "off"),
        help="whether the kernel isolates page tables; without it the kernel decides",
    )
    parser.add_argument("--cpu", metavar="MODEL", help="a model of QEMU")
    options = parser.parse_args()
    pti = None if options.pti is None else options.pti == "on"
    try:
        release = prepare()
        print(f"soak: {release}, {options.minutes:g} minutes, seed {options.seed}")
        sys.stdout.flush()
        seconds = options.minutes * 60
        done = boot(run, seconds, options.seed, pti=pti, cpu=options.cpu)
    except UbError as error:
        print(f"soak: {error}", file=sys.stderr)
        return error.exit_code
    for problem in done.log_problems:
        print(f"soak: the kernel says: {problem}", file=sys.stderr)
    print(f"soak: the figures are in {RESULT}")
    return done.exit_status


if __name__ == "__main__":
    sys.exit(main())
