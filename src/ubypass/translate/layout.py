# SPDX-License-Identifier: GPL-2.0-only
"""Put the lowered blocks in order and connect them.

Hot code first, in the order of the likely path; then cold parts, edge code, entries,
exits, and the constants.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Final

from ubypass.abi import (
    FRAME_SYSFLAGS,
    Abi,
    Dispatch,
    Entry,
    ExitReason,
    Fault,
    Translation,
)
from ubypass.errors import UbError
from ubypass.translate.clone import user_address
from ubypass.translate.context import Context
from ubypass.translate.edge_code import emit_edge_code
from ubypass.translate.emit import Buffer
from ubypass.translate.exits import Exits
from ubypass.translate.flow import Flow, entry_state, live_at
from ubypass.translate.invariant import require
from ubypass.translate.labels import Constant, Edge, ExitKey, Label, Place
from ubypass.translate.node import Node
from ubypass.translate.registers import RAX, RSP, SLOT
from ubypass.translate.state import Loc, State

__all__ = ["TooLarge", "assemble"]

_FIRST: Final = operator.itemgetter(0)


class TooLarge(UbError):
    """More code than the module accepts for one region."""


@dataclass
class _Layout:
    flow: Flow
    abi: Abi
    out: Buffer = field(default_factory=Buffer)
    blocks: dict[Node, Label] = field(default_factory=dict)
    #: Edges with edge code, and its label.
    edges: dict[tuple[Node, int], Label] = field(default_factory=dict)
    bodies: list[tuple[Label, Buffer]] = field(default_factory=list)


def assemble(flow: Flow) -> Translation:
    """The translation of the lowered blocks. Raises :class:`TooLarge` if it is
    larger than a region may be.
    """
    layout = _Layout(flow, flow.abi)
    layout.blocks = {node: Label() for node in flow.order}
    for number, node in enumerate(flow.order):
        following = flow.order[number + 1] if number + 1 < len(flow.order) else None
        _block(layout, node, following)
    for node in flow.order:
        cold = flow.fragments[node].cold
        if cold is not None:
            layout.out.append(cold)
    entries = {start: _entry(layout, node) for start, node in flow.entries.items()}
    _edges(layout)
    return _finish(layout, entries)


def _block(layout: _Layout, node: Node, following: Node | None) -> None:
    flow, out = layout.flow, layout.out
    fragment = flow.fragments[node]
    out.bind(layout.blocks[node])
    out.append(fragment.hot)
    if fragment.fall is None:
        return
    fall = fragment.fall
    if fragment.branch is not None:
        condition, taken = fragment.branch
        to_taken, to_fall = fragment.to[taken], fragment.to[fall]
        wanted = fragment.edges[fall][0] == flow.guess[node.start]
        if following is not None and following == to_taken:
            swap = True
        else:
            swap = wanted and (to_fall is None or to_fall != following)
        if swap:
            condition, taken, fall = condition ^ 1, fall, taken
        out.jcc(condition, _place(layout, node, taken))
    target = fragment.to[fall]
    if target is None:
        out.jmp(_place(layout, node, fall))
        return
    if not fragment.edges[fall][1].fits(flow.starts[target]):
        out.append(_edge_code(layout, target, fragment.edges[fall][1]))
    if target != following:
        out.jmp(layout.blocks[target])


def _place(layout: _Layout, node: Node, number: int) -> Place:
    """The target of a jump along the edge ``number`` of ``node``."""
    flow = layout.flow
    fragment = flow.fragments[node]
    start, state = fragment.edges[number]
    target = fragment.to[number]
    if target is None:
        return flow.exits.key(state, start, ExitReason.FRONTIER)
    if state.fits(flow.starts[target]):
        return layout.blocks[target]
    edge = node, number
    if edge in layout.edges:
        return layout.edges[edge]
    body = _edge_code(layout, target, state)
    if not body.code:
        return layout.blocks[target]
    label = Label()
    layout.edges[edge] = label
    body.jmp(layout.blocks[target])
    layout.bodies.append((label, body))
    return label


def _edge_code(layout: _Layout, target: Node, state: State) -> Buffer:
    """Edge code from ``state`` to the start state of ``target``."""
    flow, body = layout.flow, Buffer()
    if state.fits(flow.starts[target]):
        return body
    live = live_at(flow, target.start)
    context = Context(
        flow.exits,
        layout.abi,
        state.copy(),
        body,
        user_address(target.start),
        live,
    )
    emit_edge_code(context, flow.starts[target])
    return body


def _entry(layout: _Layout, node: Node) -> Label:
    """The code at an entry: load the user's rsp, then edge code."""
    start, body = node.start, Buffer()
    body.mark(start)
    state = entry_state(start, fred=layout.abi.fred)
    require(state.loc[RSP] == Loc.B, "rsp is not loaded at an entry")
    body.frame_load(layout.flow.assignment.host_rsp, SLOT[RSP])
    if live_at(layout.flow, start):
        # This image is from user mode, with AC clear, which popfq must not restore
        # here. An image made by generated code has AC set.
        body.frame_load(RAX, FRAME_SYSFLAGS)
        body.arithmetic_flags(RAX, layout.flow.assignment.s0)
        body.save_flags(FRAME_SYSFLAGS)
    body.append(_edge_code(layout, node, state))
    body.jmp(layout.blocks[node])
    label = Label()
    layout.bodies.append((label, body))
    return label


def _edges(layout: _Layout) -> None:
    """Emit edge code; jumps in cold code may require more of it."""
    for number, (_, place) in enumerate(layout.out.fixups):
        if isinstance(place, Edge):
            final = _place(layout, place.source, place.number)
            layout.out.retarget(number, final)
    for label, body in layout.bodies:
        layout.out.bind(label)
        layout.out.append(body)


def _finish(layout: _Layout, entries: dict[int, Label]) -> Translation:
    out = layout.out
    exits = Exits(layout.flow.assignment.s0)
    # Numbers follow the order of the code.
    wanted: list[tuple[int, ExitKey]] = list(out.faults)
    wanted += [(at, place) for at, place in out.fixups if isinstance(place, ExitKey)]
    for at, _, before, after in out.dispatches:
        wanted += [(at, before), (at, after)]
    for _, key in sorted(wanted, key=_FIRST):
        exits.want(key)
    jumps = exits.emit(out)
    at_label = {label: at for at, label in out.labels}
    constants = _constants(out)
    for at, place in out.fixups:
        if isinstance(place, Label):
            goal = at_label[place]
        else:
            assert isinstance(place, Constant)
            goal = constants[place]
        out.link(at, goal)
    if len(out.code) > layout.abi.max_code:
        raise TooLarge(
            f"the translation has {len(out.code)} bytes, the module accepts "
            f"{layout.abi.max_code}",
            "translate a smaller region",
        )
    return Translation(
        code=bytes(out.code),
        entries=tuple(
            Entry(key.ip, at_label[entries[key.ip]], key.nr) for key in layout.flow.keys
        ),
        exits=exits.exits,
        faults=tuple(
            [Fault(at, at_label[key]) for at, key in sorted(out.faults, key=_FIRST)]
        ),
        dispatches=tuple(
            Dispatch(at, nr, at_label[before], at_label[after], after.user_ip)
            for at, nr, before, after in sorted(out.dispatches, key=_FIRST)
        ),
        jumps=tuple(jumps),
        sources=layout.flow.region.sources,
        constants=len(out.code) - 8 * len(constants),
        user_ips=tuple(zip(out.marks[::2], out.marks[1::2], strict=True)),
        vector=layout.flow.vector,
        x87=layout.flow.x87,
        trusted=layout.abi.trusted,
        exact=exits.exact,
        anchored=tuple(sorted(layout.flow.exits.guarded.items())),
    )


def _constants(out: Buffer) -> dict[Constant, int]:
    """Append the constants in use; their offsets."""
    used = dict.fromkeys(p for _, p in out.fixups if isinstance(p, Constant))
    if used:
        out.align(8)
    return {constant: out.constant(constant.value) for constant in used}
