# SPDX-License-Identifier: GPL-2.0-only
"""``python -m ubypass.lab``: ``ub lab`` for when the entry point is missing."""

from __future__ import annotations

import argparse
import sys

from ubypass.cli import lab
from ubypass.errors import UbError


def _main() -> int:
    parser = argparse.ArgumentParser(prog="ub lab", description=lab.HELP)
    lab.configure(parser)
    try:
        return lab.run(parser.parse_args())
    except UbError as error:
        print(f"ub lab: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141


if __name__ == "__main__":
    sys.exit(_main())
