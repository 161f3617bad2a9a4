# SPDX-License-Identifier: GPL-2.0-only
"""``python -m ubypass.lab``: ``ub lab`` for when the entry point is missing."""

from __future__ import annotations

import sys

from ubypass.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["lab", *sys.argv[1:]]))
