# SPDX-License-Identifier: GPL-2.0-only
"""Tests whether this processor has an instruction and whether it changes vector state.

The instruction is executed on the processor. Independent of the rules for generated
code.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from ubypass.errors import UbError
from ubypass.native import types
from ubypass.native.runner import load

__all__ = ["Executed", "execute"]

_XSAVE = 4096


@dataclass(frozen=True, slots=True)
class Executed:
    """``signal``: the signal that the instruction raised; 0 if it completed, SIGILL if
    the processor does not have it. ``vector``: it changed x87, SSE or AVX state.
    """

    signal: int
    vector: bool

    @property
    def exists(self) -> bool:
        """Whether the processor has the instruction."""
        return self.signal != signal.SIGILL


def execute(instructions: Sequence[bytes]) -> list[Executed]:
    """Run each instruction alone, with all registers, rsp included, pointing into the
    same two pages.

    The instructions must not branch, make system calls or halt the processor. Raises
    UbError if instructions cannot be run here.
    """
    singles = (types.Single * max(len(instructions), 1))()
    for one, code in zip(singles, instructions, strict=False):
        one.code[: len(code)] = code
        one.length = len(code)
    result = load().ub_singles(singles, len(instructions))
    if result:
        raise UbError(f"instructions cannot be run one at a time here ({result})")
    return [
        Executed(one.signal, one.vector != _XSAVE)
        for one in singles[: len(instructions)]
    ]
