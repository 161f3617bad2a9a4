# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.debugkernel``: build the kernel, as far as it is not there."""

from __future__ import annotations

import sys

from tests.debugkernel.build import HOME, build
from ubypass.errors import UbError


def main() -> int:
    """Build it; 1 with a message if that fails."""
    try:
        release = build(
            HOME, lambda phrase: print(f"debug-kernel: {phrase}", flush=True)
        )
    except UbError as error:
        print(f"debug-kernel: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndebug-kernel: interrupted; a second call continues", file=sys.stderr)
        return 130
    print(f"debug-kernel: {release} is in {HOME}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
