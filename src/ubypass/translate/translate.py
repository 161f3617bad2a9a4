# SPDX-License-Identifier: GPL-2.0-only
"""The translator's front door: a region in, a translation out.

The same region and the same offer of the module always give the same bytes.
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

# User instructions in clones at most.
_ROOM = 1024


def translate(
    region: Region,
    abi: Abi | None = None,
    *,
    turns: int = 64,
    careful: bool = False,
) -> Translation:
    """Translate ``region`` for a module that offers ``abi``.

    A hot loop of one block is written out up to ``turns`` times, so that the charge of
    the budget costs next to nothing in each; loops are not unrolled where there is no
    room.

    With ``careful``, no block relies on what another one knows of addresses in host
    registers (except the stack's): slower code, for when the verifier cannot follow the
    reasoning.

    Raises :class:`UbError` when the result would be too large. What cannot be
    translated becomes an exit, never an error.
    """
    abi = abi or Abi()
    paths = [(with_clones(region, _ROOM), turns)] if region.traced else []
    # The whole region without unrolled loops is better than a part of it.
    paths += [(region, turns), (region, 1)] if turns > 1 else [(region, 1)]
    try:
        for shape, most in paths[:-1]:
            with contextlib.suppress(TooLarge):
                return assemble(solve(shape, abi, most, careful))
        shape, most = paths[-1]
        return assemble(solve(shape, abi, most, careful))
    except AssertionError as error:
        raise UbError(
            f"the translator contradicts itself at entry {region.entries[0]:#x}",
            "this is a mistake in ubypass, please report it",
        ) from error
