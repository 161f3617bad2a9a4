# SPDX-License-Identifier: GPL-2.0-only
"""The translator's interface: translates a region.

Deterministic: the same region and the same ABI of the module give the same bytes.
"""

from __future__ import annotations

import contextlib

from ubypass.abi import Abi, Translation
from ubypass.errors import UbError
from ubypass.region.graph import Region
from ubypass.translate.clone import with_clones
from ubypass.translate.flow import solve
from ubypass.translate.layout import TooLarge, assemble

__all__ = ["translate"]

# Largest number of user instructions in clones.
_ROOM = 1024


def translate(
    region: Region,
    abi: Abi | None = None,
    *,
    turns: int = 64,
    careful: bool = False,
) -> Translation:
    """Translate ``region`` for a module with ``abi``.

    A hot loop of one block is unrolled up to ``turns`` times, so that charging the
    budget costs almost nothing in each turn; loops are not unrolled if there is no
    room.

    With ``careful``, no block relies on facts of another block about addresses in host
    registers (except the stack's): slower code, for regions that the verifier could not
    prove otherwise.

    Raises :class:`UbError` when the result would be too large. Instructions that cannot
    be translated become exits, never an error.
    """
    abi = abi or Abi()
    paths = [(with_clones(region, _ROOM), turns)] if region.traced else []
    # The whole region without unrolled loops is better than a part with them.
    paths += [(region, turns), (region, 1)] if turns > 1 else [(region, 1)]
    try:
        for shape, most in paths[:-1]:
            with contextlib.suppress(TooLarge):
                return assemble(solve(shape, abi, most, careful))
        shape, most = paths[-1]
        return assemble(solve(shape, abi, most, careful))
    except AssertionError as error:
        raise UbError(
            f"the translator contradicts itself at entry {region.entries[0].ip:#x}",
            "please report this bug of ubypass",
        ) from error
