# SPDX-License-Identifier: GPL-2.0-only
"""The kernel of the next boot: whether the module exists for it too.

An upgrade installs a kernel that does not run yet. Debian's boot loader takes the
newest installed kernel unless the administrator has chosen another one.
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
    """Check the newest kernel in ``/boot``, if any: whether there is a module for it.

    ``module_of``: path of the module for a kernel, which may not exist;
    ``how_to_get``: the command that provides the module.
    """
    kernels = (path.name for path in (root / "boot").glob("vmlinuz-*"))
    found = sorted((name.removeprefix("vmlinuz-") for name in kernels), key=_order)
    if not found:
        return
    newest = found[-1]
    if newest == release:
        yield Check(Scope.KERNEL, _NAME, State.OK, f"{newest}, the running kernel")
    elif module_of(newest).is_file():
        yield Check(Scope.KERNEL, _NAME, State.OK, f"{newest}, with the module")
    else:
        text = f"{newest}, without the module: programs will run natively"
        yield Check(Scope.KERNEL, _NAME, State.NOTE, text, how_to_get(newest))


def _order(release: str) -> list[tuple[int, str]]:
    """A sort key that compares numbers as numbers: 6.12 is newer than 6.2."""
    parts = re.findall(r"\d+|[^\d]+", release)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
