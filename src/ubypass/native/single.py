# SPDX-License-Identifier: GPL-2.0-only
"""Does this processor have an instruction, and does it touch the vector state?

Asks the processor itself. Knows nothing of what may appear in generated code.
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
    """``signal`` is what the instruction raised: 0 if it ran to its end, SIGILL if the
    processor does not have it. ``vector``: it changed x87, SSE or AVX state.
    """

    signal: int
    vector: bool

    @property
    def exists(self) -> bool:
        """Whether the processor has it."""
        return self.signal != signal.SIGILL


def execute(instructions: Sequence[bytes]) -> list[Executed]:
    """Run each on its own, all registers pointing into the same two pages, rsp too.

    They must not jump away, make system calls or stop the processor. Raises UbError
    when they cannot be run here.
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
