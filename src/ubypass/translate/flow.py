# SPDX-License-Identifier: GPL-2.0-only
"""Find the state at the start of every block and lower the blocks with it.

Repeats until nothing changes; :mod:`ubypass.translate.join` sees to it that this
happens soon.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from iced_x86 import Instruction

from ubypass.abi import Abi
from ubypass.region.graph import Block, End, Region
from ubypass.region.liveness import ARITHMETIC, flags_live
from ubypass.translate.bases import live_bases
from ubypass.translate.block import Prepared, lower_block
from ubypass.translate.context import Fragment
from ubypass.translate.dispatch import dispatches
from ubypass.translate.facts import Facts, Unsupported, facts
from ubypass.translate.join import Incoming, join
from ubypass.translate.registers import R11, RCX, RSP, Homes, choose_homes
from ubypass.translate.state import Flags, Loc, State
from ubypass.translate.trace import (
    COLD,
    HOT,
    LIKELY,
    SOME,
    charges,
    distances,
    hot_path,
    likely,
    order,
)


@dataclass(frozen=True, slots=True)
class Flow:
    """A region with the code of its blocks.

    ``starts`` holds the state each block begins with, ``live`` the flags live
    there, ``order`` the blocks in the order of the layout.
    """

    region: Region
    homes: Homes
    order: tuple[int, ...]
    fragments: dict[int, Fragment]
    starts: dict[int, State]
    live: dict[int, int]
    entries: tuple[int, ...]
    guess: dict[int, int | None]


def solve(region: Region, abi: Abi) -> Flow:
    """Lower all blocks of ``region`` that control can reach."""
    prepared, homes = _prepare(region)
    dispatching = {
        start
        for start, block in region.blocks.items()
        if block.end == End.SYSCALL
        and not prepared[start].refused
        and dispatches(block, abi.args)
    }
    distance = distances(region, dispatching)
    guess = {start: likely(block, distance) for start, block in region.blocks.items()}
    layout = order(region, lambda block: guess[block.start])
    position = {start: number for number, start in enumerate(layout)}
    entries = _entries(region, dispatching)
    prepared = _charged(region, prepared, dispatching, layout)

    path = hot_path(region, guess)

    def weight(source: int, target: int) -> int:
        if guess[source] != target:
            return SOME
        return HOT if source in path else LIKELY

    starts: dict[int, State] = {}
    fragments: dict[int, Fragment] = {}
    rounds: Counter[int] = Counter()
    incoming: dict[int, dict[tuple[int, int], State]] = {s: {} for s in region.blocks}
    todo = dict.fromkeys(sorted(entries, key=position.__getitem__))
    while todo:
        start = min(todo, key=position.__getitem__)
        del todo[start]
        edges = [
            Incoming(weight(source, start), state)
            for (source, _), state in sorted(
                incoming[start].items(), key=lambda item: item[0]
            )
        ]
        if start in entries:
            edges.append(Incoming(COLD, entry_state(start)))
        state = join(
            edges,
            homes,
            prepared[start].live[0],
            starts.get(start),
            rounds[start],
            prepared[start].bases,
        )
        if start in starts and state.key() == starts[start].key():
            continue
        rounds[start] += 1
        starts[start] = state
        fragment = lower_block(prepared[start], state, homes, abi)
        old = fragments.get(start)
        fragments[start] = fragment
        if old is not None:
            for index, (target, _) in enumerate(old.edges):
                if target in incoming:
                    incoming[target].pop((start, index), None)
                    if target in starts:
                        todo[target] = None
        for index, (target, after) in enumerate(fragment.edges):
            if target in incoming:
                incoming[target][(start, index)] = after
                todo[target] = None
        for target in list(todo):
            if not incoming[target] and target not in entries:
                del todo[target]
    return Flow(
        region=region,
        homes=homes,
        order=tuple(start for start in layout if start in fragments),
        fragments=fragments,
        starts=starts,
        live={start: prepared[start].live[0] for start in fragments},
        entries=tuple(entries),
        guess=guess,
    )


def entry_state(resume: int) -> State:
    """The state at an entry, once the user's rsp is loaded (docs/abi.md, 3)."""
    state = State()
    state.loc[RSP] = Loc.B
    state.loc[RCX] = state.loc[R11] = Loc.S
    state.cx = resume
    state.flags = Flags.SYS
    state.intervals[RSP] = (0, 0)
    return state


def _prepare(region: Region) -> tuple[dict[int, Prepared], Homes]:
    live = flags_live(region)
    prepared: dict[int, Prepared] = {}
    uses: list[int] = []
    for start, block in region.blocks.items():
        found, refused = _facts(block)
        for fact in found:
            uses += fact.reads
            uses += fact.writes
        prepared[start] = Prepared(block, found, refused, live[start], 0, frozenset())
    bases = live_bases(region, {s: p.facts for s, p in prepared.items()})
    prepared = {s: replace(p, bases=bases[s]) for s, p in prepared.items()}
    return prepared, choose_homes(uses)


def _facts(block: Block) -> tuple[tuple[Facts, ...], str]:
    found: list[Facts] = []
    for instruction in block.instructions:
        try:
            found.append(_fact(instruction))
        except Unsupported as why:
            return tuple(found), str(why)
    return tuple(found), ""


def _fact(instruction: Instruction) -> Facts:
    return facts(instruction)


def _entries(region: Region, dispatching: set[int]) -> list[int]:
    resumes = {region.blocks[start].next_ip for start in dispatching}
    known = [e for e in region.entries if e in region.blocks]
    return known + sorted(r for r in resumes - set(known) if r in region.blocks)


def _charged(
    region: Region,
    prepared: dict[int, Prepared],
    dispatching: set[int],
    layout: list[int],
) -> dict[int, Prepared]:
    def successors(start: int) -> list[int]:
        if start in dispatching or prepared[start].refused:
            return []
        return [t for t in region.blocks[start].targets if t in region.blocks]

    found = charges(region, layout, successors)
    return {s: replace(p, charge=found.get(s, 0)) for s, p in prepared.items()}


def live_at(flow: Flow, address: int) -> int:
    """Flags live at the start of a block; all of them outside the region."""
    return flow.live.get(address, ARITHMETIC)
