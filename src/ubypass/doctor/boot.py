# SPDX-License-Identifier: GPL-2.0-only
"""The kernel that boots next: is the module there for it as well?

An upgrade brings a kernel that nobody runs yet. Debian's boot loader takes the newest
installed one, unless its administrator has chosen another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from ubypass.doctor.check import Check, Scope, State

__all__ = ["check_next_boot"]

_NAME = "next boot"


def check_next_boot(
    release: str,
    module_of: Callable[[str], Path],
    how_to_get: Callable[[str], str],
    root: Path,
) -> Iterator[Check]:
    """Says something if a kernel is installed: which, and whether it has the module.

    ``module_of``: where the module for a kernel is, or would be; ``how_to_get``: what
    to type where there is none.
    """
    kernels = (path.name for path in (root / "boot").glob("vmlinuz-*"))
    found = sorted((name.removeprefix("vmlinuz-") for name in kernels), key=_order)
    if not found:
        return
    newest = found[-1]
    if newest == release:
        yield Check(Scope.KERNEL, _NAME, State.OK, f"{newest}, as now")
    elif module_of(newest).is_file():
        yield Check(Scope.KERNEL, _NAME, State.OK, f"{newest}, which has the module")
    else:
        text = f"{newest}, which has no module: programs run natively then"
        yield Check(Scope.KERNEL, _NAME, State.NOTE, text, how_to_get(newest))


def _order(release: str) -> list[tuple[int, str]]:
    """Numbers count as numbers, so that 6.12 is newer than 6.2."""
    parts = re.findall(r"\d+|[^\d]+", release)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
