# SPDX-License-Identifier: GPL-2.0-only
"""``State.check`` after each lowered instruction, wherever a test translates.

Compiled modules call each other directly, so that nothing can be put between them:
there the checks run in a process of their own, ``python -m tests.translate.checked``
with UBYPASS_PURE=1, on all golden programs and many functions of libc.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from ubypass.abi import Abi
from ubypass.translate import block, flow, layout
from ubypass.translate.context import Context
from ubypass.translate.interval import within
from ubypass.translate.invariant import require
from ubypass.translate.registers import RCX
from ubypass.translate.state import Flags, Loc, State
from ubypass.translate.translate import translate

__all__ = ["checking", "compiled"]


def compiled() -> bool:
    """Whether the lowering loop is compiled, so that it cannot be wrapped."""
    return not hasattr(block.lower_block, "__code__")


def checking(replace: Callable[[Any, str, Any], None], counts: Counter[str]) -> None:
    """Check the state after each instruction, at the start of each block and behind
    each edge. ``replace`` is like setattr; ``counts`` is what was checked, by place.
    """
    lower_one, merge = block._lower_one, flow.merge_states
    edge_code = layout.emit_edge_code

    def checked_one(context: Context, info: Any, live_after: int) -> None:
        lower_one(context, info, live_after)
        context.state.check()
        counts["instruction"] += 1

    def checked_merge(*arguments: Any) -> State:
        state = merge(*arguments)
        state.check()
        counts["block"] += 1
        return state

    def checked_edge(context: Context, wanted: State) -> None:
        edge_code(context, wanted)
        context.state.check()
        require(_serves(context.state, wanted), "edge code leads to another state")
        counts["edge"] += 1

    replace(block, "_lower_one", checked_one)
    replace(flow, "merge_states", checked_merge)
    replace(layout, "emit_edge_code", checked_edge)


#: What each place of a value that code relies on may be instead.
_SERVES = {
    Loc.M: {Loc.M, Loc.B},
    Loc.H: {Loc.H, Loc.B},
    Loc.B: {Loc.B},
    Loc.S: {Loc.S},
}


def _serves(state: State, wanted: State) -> bool:
    """Whether code that begins in ``wanted`` is right in ``state``."""
    flags = {state.flags, *((Flags.REMAT,) if state.remat == wanted.remat else ())}
    return (
        all(
            have in _SERVES[want]
            for have, want in zip(state.loc, wanted.loc, strict=True)
        )
        and (wanted.loc[RCX] != Loc.S or state.cx == wanted.cx)
        and state.offset == wanted.offset
        and all(map(within, state.intervals, wanted.intervals))
        and (wanted.flags == Flags.DEAD or wanted.flags in flags)
        and wanted.remat in (None, state.remat)
        and wanted.cached_address in (None, state.cached_address)
        and set(wanted.copies) <= set(state.copies)
        and set(wanted.returns) <= set(state.returns)
    )


def _main() -> None:
    from tests.translate import digest, test_golden

    counts: Counter[str] = Counter()
    checking(setattr, counts)
    for path in sorted(test_golden.GOLDEN.glob("*.txt")):
        for _, source, _ in test_golden.cases(path):
            test_golden.build(source)
    for region in digest.regions():
        for careful in (False, True):
            translate(region, Abi(features=frozenset()), careful=careful)
    print(dict(counts))


if __name__ == "__main__":
    _main()
