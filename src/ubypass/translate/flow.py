# SPDX-License-Identifier: GPL-2.0-only
"""Find the state at the start of every block and lower the blocks with it.

A fixpoint iteration; the widening in :mod:`ubypass.translate.state_merge` makes it
converge soon.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Final

from iced_x86 import Mnemonic

from ubypass.abi import Abi, ExitReason, SiteKey
from ubypass.region.graph import Block, End, Region
from ubypass.region.liveness import ARITHMETIC, flags_live
from ubypass.region.worklist import reached
from ubypass.translate.bases import live_bases, loop_bases, sure_copies
from ubypass.translate.block import AddressUse, Prepared, lower_block
from ubypass.translate.budget import charges, owed
from ubypass.translate.context import Fragment
from ubypass.translate.dispatch import dispatches
from ubypass.translate.exit_keys import ExitKeys
from ubypass.translate.insn_info import InsnInfo, Unsupported, insn_info
from ubypass.translate.loops import loop_body, looping, ranks
from ubypass.translate.node import Node
from ubypass.translate.nonpointers import nonpointers
from ubypass.translate.placement import Link, place
from ubypass.translate.profile import (
    COLD,
    HOT,
    LIKELY,
    SOME,
    distances,
    executions,
    hot_path,
    likely,
    order,
)
from ubypass.translate.registers import (
    R10,
    R11,
    RCX,
    RSP,
    RegisterAssignment,
    assign_registers,
)
from ubypass.translate.stack_height import stack_heights
from ubypass.translate.state import Loc, State
from ubypass.translate.state_merge import Incoming, Loop, Needs, merge_states

__all__ = ["Flow", "entry_state", "live_at", "solve"]

# Largest unrolled loop in instructions, on the hot path and elsewhere.
_UNROLLED: Final = 128
_UNROLLED_COLD: Final = 32
# Largest loop, in instructions, that is analysed as a whole.
_LOOP: Final = 256
# Most copies of a body: more gain little, except for a loop of a single block.
_TURNS: Final = 16
_UNROLLED_ALONE: Final = 256
_STACK: Final = frozenset({RSP})
_SYSCALL: Final[int] = Mnemonic.SYSCALL
_NONE: Final[frozenset[int]] = frozenset()
# Weights of a use of a register.
_IN_LOOP: Final = 8
_ON_PATH: Final = 4
_ADDRESS: Final = 2


@dataclass
class Flow:
    """A region with the code of its blocks.

    ``starts`` holds the start state of each node, ``live`` the flags live at each
    block's start, ``order`` the nodes in the order of the layout, ``entries`` those of
    the entries by resume address, and ``keys`` the entries. ``abi`` determines
    the size of dispatches; ``vector``: vector registers are used; ``x87``: there are
    x87 instructions that set FIP.
    """

    region: Region
    assignment: RegisterAssignment
    exits: ExitKeys
    order: tuple[Node, ...]
    fragments: dict[Node, Fragment]
    starts: dict[Node, State]
    live: dict[int, int]
    entries: dict[int, Node]
    keys: tuple[SiteKey, ...]
    guess: dict[int, int | None]
    abi: Abi
    vector: bool
    x87: bool


class _Solver:
    """The fixpoint iteration over the nodes of a region."""

    def __init__(self, region: Region, abi: Abi, turns: int, careful: bool) -> None:
        self.region, self.abi, self.turns = region, abi, turns
        self.careful = careful
        self.prepared = _prepare(region, abi)
        self.executions = executions(region)
        self._guess_control()
        self.vector = any(
            info.vector for start in self.path for info in self.prepared[start].infos
        ) or any(
            info.vector
            for start in region.seeds
            for info in self.prepared[start].infos[:1]
        )
        if self.vector:
            self.abi = replace(abi, dispatch_size=abi.dispatch_vector_size)
        else:
            integer = {s: _integer(p) for s, p in self.prepared.items()}
            if any(integer[s] is not p for s, p in self.prepared.items()):
                self.prepared = integer
                self._guess_control()
        self.assignment = self._assign()
        self.exits = ExitKeys(self.assignment)
        layout = order(
            [*region.resumes, *sorted(region.blocks)],
            lambda start: _inside(region, self.guess[start]),
            lambda start: region.blocks[start].end == End.BRANCH,
        )
        self.position = {start: number for number, start in enumerate(layout)}
        self.rank = ranks(region, layout)
        #: By block: the head of the loop with which it is unrolled.
        self.heads: dict[int, int] = {}
        self._charge(layout)
        self.keys = _entries(region, self.dispatching, abi)
        self.stack_heights = stack_heights(region) if region.traced else {}
        self.starts: dict[Node, State] = {}
        self.fragments: dict[Node, Fragment] = {}
        #: Edges into each node, sorted by their sources.
        self.incoming: dict[Node, list[Incoming]] = {}
        self.nodes: dict[int, list[Node]] = {}
        self.first: dict[int, Node] = {}
        self.rounds: dict[Node, int] = {}
        self.needs: dict[Node, Needs] = {}

    def _guess_control(self) -> None:
        """Compute the static profile: likely targets and the hot path."""
        region = self.region
        self.dispatching = {
            start
            for start, block in region.blocks.items()
            if block.end == End.SYSCALL
            and not self.prepared[start].refused
            and dispatches(block, self.abi.args)
        }
        distance = distances(region, self.dispatching)
        self.guess = {
            start: likely(region, block, distance)
            for start, block in region.blocks.items()
        }
        self.path = set(region.traced) or hot_path(region, self.guess)

    def _assign(self) -> RegisterAssignment:
        """The assignment, by the weighted use counts of each register."""
        counts = [0] * 16
        fixed: set[int] = set()
        loops = looping(self.region)
        for start, prepared in self.prepared.items():
            weight = _ON_PATH * self.executions.get(start, 0)
            if not weight:
                weight = (_IN_LOOP if start in loops else 1) * (
                    _ON_PATH if start in self.path else 1
                )
            for info in prepared.infos:
                if info.mnemonic == _SYSCALL:
                    continue
                for user in info.reads:
                    counts[user] += weight
                memory = info.memory
                if memory is not None and memory.access:
                    # A spilled base is clamped at each access.
                    for part in (memory.base, memory.index):
                        if part is not None:
                            counts[part] += _ADDRESS * weight
                for user in info.writes:
                    counts[user] += weight
                    if user == R10 and self.dispatching:
                        # An argument of the next call is stored to its slot anyway.
                        counts[user] -= weight
                if info.implicit:
                    fixed |= info.implicit
        return assign_registers(counts, fixed)

    def _charge(self, layout: list[int]) -> None:
        """Choose the blocks that charge the budget, and how often loops are
        unrolled.
        """
        region = self.region
        successors = {
            start: []
            if start in self.dispatching or self.prepared[start].refused
            else [t for t in block.targets if t in region.blocks]
            for start, block in region.blocks.items()
        }
        sizes = {start: prepared.size() for start, prepared in self.prepared.items()}
        for start, charge in charges(sizes, layout, successors).items():
            self.prepared[start].pay(charge)
        heads = {s for s, prepared in self.prepared.items() if prepared.charge}
        for start in sorted(heads):
            body = self._look_inside(start, successors)
            if body:
                # Which is the same loop, or none if it is too large.
                body = loop_body(region, start, successors, _UNROLLED // 2)
            if len(body & heads) != 1:
                continue
            # Code that was seen to run counts like the predicted path.
            hot = start in self.path or not body.isdisjoint(region.seeds)
            room = _UNROLLED if hot or len(body) == 1 else _UNROLLED_COLD
            most = _TURNS
            if hot and len(body) == 1:
                room, most = _UNROLLED_ALONE, self.turns
            size = sum(len(region.blocks[at].instructions) for at in body)
            turns = min(self.turns, most, room // size)
            if turns > 1:
                for at in body:
                    self.prepared[at].unroll(turns)
                    self.heads[at] = start
        # The head of an unrolled loop pays for all copies.
        sizes |= dict.fromkeys(self.heads, 0)
        debts = owed(sizes, successors, heads, self._unpaid)
        for start, instructions in debts.items():
            self.prepared[start].owe(instructions)

    def _unpaid(self, start: int, before: int) -> int:
        """What a block owes for its path at its end, if it owes ``before``."""
        return self.prepared[start].path_charges(before)[1]

    def _look_inside(self, head: int, successors: Mapping[int, list[int]]) -> set[int]:
        """Find the registers that the loop at ``head`` reads, and those worth a hoisted
        clamp. Returns the blocks of the loop.
        """
        body = loop_body(self.region, head, successors, _LOOP)
        if not body:
            return body
        known = {start: self.prepared[start].infos for start in body}
        inside = frozenset(
            user for part in known.values() for info in part for user in info.reads
        )
        hoisted = _NONE
        if not self.careful:
            hoisted = loop_bases(self.region, known, head, body)
            hoisted &= self.prepared[head].addresses.bases
        self.prepared[head].head(Loop(inside, hoisted))
        return body

    def node(self, start: int, state: State) -> Node:
        """The version of the block at ``start`` for ``state``."""
        if self.region.traced and start not in self.path:
            # Cold code has one version.
            return self._node(start, 0, False, 0)
        derived = state.loc[R11] == Loc.S
        kept = state.loc[RCX] == Loc.S and start in self.path
        cx = state.cx if kept else 0
        first = self.first.get(start)
        if first is None:
            first = self.first[start] = self._node(start, cx, derived, 0)
        if first.cx == cx and first.derived == derived:
            return first
        # The hot path comes first; all other states share one version.
        return self._node(start, 0, derived, 0)

    def _node(self, start: int, cx: int, derived: bool, turn: int) -> Node:
        """The one object for this version."""
        known = self.nodes.get(start)
        if known is None:
            known = self.nodes[start] = []
        for node in known:
            if node.turn == turn and node.cx == cx and node.derived == derived:
                return node
        node = Node(start, cx, derived, turn, self.rank[start])
        known.append(node)
        self.incoming[node] = []
        self.rounds[node] = 0
        return node

    def run(self) -> dict[int, Node]:
        """Solve; returns the nodes of the entries."""
        resumes = dict.fromkeys([key.ip for key in self.keys])
        fred = self.abi.fred
        entries = {e: self.node(e, entry_state(e, fred=fred)) for e in resumes}
        roots = set(entries.values())
        # The hot path first: its states are final before the rest is merged in.
        rest = self._iterate(list(entries.values()), roots, self.path)
        self._iterate(rest, roots, self.region.blocks)
        return entries

    def _iterate(
        self, todo: list[Node], roots: set[Node], part: Collection[int]
    ) -> list[Node]:
        """Visit ``todo`` and successors until nothing changes in ``part``; returns the
        nodes outside ``part`` that still have to be visited.

        In the order of control, so that most nodes need one visit only.
        """
        rest: dict[Node, None] = {}
        # Numbers are compared faster than nodes.
        heap: list[int] = []
        at_place: dict[int, Node] = {}
        waiting: set[Node] = set()
        while True:
            for node in todo:
                if node.start not in part:
                    rest[node] = None
                elif node not in waiting:
                    waiting.add(node)
                    at_place[node.place] = node
                    heappush(heap, node.place)
            if not heap:
                return list(rest)
            node = at_place[heappop(heap)]
            waiting.discard(node)
            edges = self.incoming[node]
            if node in roots:
                state = entry_state(node.start, fred=self.abi.fred)
                edges = [*edges, Incoming(COLD, state)]
            todo = self._visit(node, edges) if edges else []

    def _came(self, node: Node, source: Node, number: int, state: State) -> None:
        """Edge ``number`` of ``source`` leads to ``node`` with ``state``."""
        edges = self.incoming[node]
        at = len(edges)
        while at:
            edge = edges[at - 1]
            other = edge.source
            assert other is not None
            if other is source:
                if edge.number == number:
                    edge.update(state)
                    return
                if edge.number < number:
                    break
            elif other.before(source):
                break
            at -= 1
        weight, back = self._weight(source, node.start), source.rank >= node.rank
        edges.insert(at, Incoming(weight, state, back, source, number))

    def _gone(self, node: Node, source: Node, number: int) -> None:
        """Edge ``number`` of ``source`` does not lead to ``node`` any more."""
        edges = self.incoming[node]
        for at, edge in enumerate(edges):
            if edge.source is source and edge.number == number:
                del edges[at]
                return

    def _weight(self, source: Node, target: int) -> int:
        start = source.start
        # A back edge weighs more than an edge into the loop.
        back = int(source.rank >= self.rank[target])
        if self.guess[start] != target:
            block = self.region.blocks[start]
            never = (
                target == block.targets[0] and block.last.ip in self.region.never_taken
            )
            return COLD if never else SOME + back
        if start not in self.path:
            return LIKELY + back
        if self.region.traced:
            often = min(self.executions.get(at, 0) for at in (start, target))
            return HOT + 2 * often + back
        first = self.first[start]
        same = first.cx == source.cx and first.derived == source.derived
        return (HOT if same and not first.turn else LIKELY) + back

    def _visit(self, node: Node, edges: list[Incoming]) -> list[Node]:
        """Lower ``node`` again if its state changed; the nodes to visit then."""
        prepared, rounds = self.prepared[node.start], self.rounds[node]
        previous = self.starts.get(node)
        state = merge_states(
            edges, self.assignment, self._needs_of(node), previous, rounds
        )
        if previous is not None and state.same(previous):
            return []
        if previous is None or not state.like(previous):
            self.rounds[node] = rounds + 1
        self.starts[node] = state
        fragment = lower_block(prepared, node, state, self.exits, self.abi)
        before = self.fragments.get(node)
        self.fragments[node] = fragment
        blocks = self.region.blocks
        changed: list[Node] = []
        for index, (start, after) in enumerate(fragment.edges):
            target = self._target(node, start, after) if start in blocks else None
            fragment.lead(target)
            if before is not None and index < len(before.to):
                old = before.to[index]
                if old is not None:
                    if old is target and before.edges[index][1].same(after):
                        continue
                    changed.append(old)
                    if old is not target:
                        self._gone(old, node, index)
            if target is not None:
                self._came(target, node, index, after)
                changed.append(target)
        if before is not None:
            for index in range(len(fragment.to), len(before.to)):
                old = before.to[index]
                if old is not None:
                    self._gone(old, node, index)
                    changed.append(old)
        return changed

    def _needs_of(self, node: Node) -> Needs:
        """The needs of ``node`` for its start state, computed once."""
        found = self.needs.get(node)
        if found is None:
            prepared = self.prepared[node.start]
            pays = prepared.charge and not node.turn
            found = self.needs[node] = Needs(
                prepared.live[0],
                _STACK if self.careful else prepared.addresses.bases,
                _NONE if self.careful else prepared.addresses.indexes,
                hot=node.start in self.path,
                loop=prepared.loop if pays else None,
                stack_height=self.stack_heights.get(node.start),
            )
        return found

    def _target(self, node: Node, start: int, state: State) -> Node:
        """The target node of an edge from ``node`` to the block at ``start``."""
        target = self.node(start, state)
        head = self.heads.get(start)
        if head is None:
            return target
        turn = node.turn
        if head != self.heads.get(node.start):
            # An edge into the middle of a loop leads to the last turn: otherwise a
            # cycle could avoid the turn that charges.
            turn = 0 if start == head else self.prepared[start].turns - 1
        elif start == head:
            turn = (turn + 1) % self.prepared[start].turns
        if not turn:
            return target
        return self._node(start, target.cx, target.derived, turn)

    def next_nodes(self, node: Node) -> list[Node]:
        """The successors of ``node``."""
        return [target for target in self.fragments[node].to if target is not None]

    def placed(self, nodes: list[Node]) -> list[Node]:
        """The nodes in the order of the layout."""
        counts = self.executions or dict.fromkeys(self.path, 1)
        executions: dict[Node, int] = {}
        for node in nodes:
            often = counts.get(node.start, 0)
            # Not each execution of a loop reaches its later turns.
            executions[node] = max(often // (node.turn + 1), min(often, 1))
        return place(nodes, self._links(nodes), executions)

    def _links(self, nodes: list[Node]) -> list[Link]:
        """The edges along which control may fall through."""
        found: list[Link] = []
        for node in nodes:
            fragment = self.fragments[node]
            if fragment.fall is None:
                continue
            edges = [fragment.fall]
            if fragment.branch is not None:
                edges.append(fragment.branch[1])
            for number in edges:
                target = fragment.to[number]
                if target is not None:
                    guessed = target.start == self.guess[node.start]
                    found.append(Link(node, target, guessed, len(edges) > 1))
        return found


def solve(region: Region, abi: Abi, turns: int = 64, careful: bool = False) -> Flow:
    """Lower all blocks of ``region`` that control can reach."""
    solver = _Solver(region, abi, turns, careful)
    entries = solver.run()
    used = reached(entries.values(), solver.next_nodes)
    rest = sorted(
        used,
        key=lambda n: (
            solver.position[n.start],
            n.cx == 0,
            n.cx,
            n.derived,
            n.turn,
        ),
    )
    layout = solver.placed([*dict.fromkeys((*entries.values(), *rest))])
    return Flow(
        region=region,
        assignment=solver.assignment,
        exits=solver.exits,
        order=tuple(layout),
        fragments=solver.fragments,
        starts=solver.starts,
        live={start: solver.prepared[start].live[0] for start in region.blocks},
        entries=entries,
        keys=tuple(solver.keys),
        guess=solver.guess,
        abi=solver.abi,
        vector=solver.vector,
        x87=any(f.pointer for p in solver.prepared.values() for f in p.infos),
    )


def _inside(region: Region, start: int | None) -> int | None:
    return start if start in region.blocks else None


def entry_state(resume: int, *, fred: bool) -> State:
    """The state at an entry, once the user's rsp is loaded (docs/abi.md, 3).

    ``fred``: see :class:`~ubypass.abi.Abi`.
    """
    state = State()
    state.enter(resume, fred=fred)
    return state


def _prepare(region: Region, abi: Abi) -> dict[int, Prepared]:
    found = {start: _insn_infos(block, abi) for start, block in region.blocks.items()}
    known = {start: part for start, (part, _) in found.items()}
    uses = {start: [info.flags for info in part] for start, part in known.items()}
    live = flags_live(region, uses)
    bases = live_bases(region, known)
    strange = nonpointers(region, known)
    prepared: dict[int, Prepared] = {}
    for start, block in region.blocks.items():
        infos, refused = found[start]
        clamped, indexes = bases[start]
        masks = strange.get(start, ())
        if masks:
            # They must not be clamped at the start of the block, either.
            clamped = frozenset(user for user in clamped if not masks[0] >> user & 1)
        copies = sure_copies(region, known, start)
        addresses = AddressUse(clamped, indexes, copies, masks)
        prepared[start] = Prepared(block, infos, live[start], addresses, refused)
    return prepared


def _integer(prepared: Prepared) -> Prepared:
    """The block without vector instructions.

    Vector registers make each dispatch of a region slower, so vector code on cold paths
    becomes a frontier until control is seen to reach it.
    """
    for number, info in enumerate(prepared.infos):
        if info.vector:
            why = "vector instruction on a path that looks cold"
            return prepared.cut(number, why, ExitReason.FRONTIER)
    return prepared


def _insn_infos(block: Block, abi: Abi) -> tuple[tuple[InsnInfo, ...], str]:
    found: list[InsnInfo] = []
    for instruction in block.instructions:
        try:
            info = insn_info(instruction)
        except Unsupported as why:
            return tuple(found), str(why)
        if abi.features is not None and not info.features <= abi.features:
            return tuple(found), "not for this processor"
        if info.pointer and not abi.x87:
            return tuple(found), "x87: this processor would show where it ran"
        found.append(info)
    return tuple(found), ""


def _entries(region: Region, dispatching: set[int], abi: Abi) -> list[SiteKey]:
    """The entries of calls that may be dispatched: no others are ever entered."""
    blocks = [region.blocks[start] for start in sorted(dispatching)]
    found = {
        SiteKey(block.next_ip, nr)
        for block in blocks
        for nr in block.numbers
        if nr not in block.stops
    }
    known = [e for e in region.entries if e.ip in region.blocks]
    rest = sorted(key for key in found.difference(known) if key.ip in region.blocks)
    return [key for key in (*known, *rest) if key.nr in abi.args]


def live_at(flow: Flow, address: int) -> int:
    """Flags live at the start of a block; all of them outside the region."""
    return flow.live.get(address, ARITHMETIC)
