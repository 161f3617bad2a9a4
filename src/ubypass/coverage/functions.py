# SPDX-License-Identifier: GPL-2.0-only
"""The instructions of a program's functions, as blocks.

Bytes are not all code: functions are padded, and hand-written assembly keeps tables
in ``.text``. What counts is

1. what control reaches from the start of a function: the ranges in ``.eh_frame`` (see
   :mod:`ubypass.coverage.ehframe`), then symbols of functions outside of those, then
   targets of direct calls and jumps outside of both, up to where the next known
   function begins;
2. inside such a range, what lies between (cases of a ``switch``, landing pads): it
   counts if, padding skipped, it decodes up to an instruction that ends a block without
   going on, or up to where reached code begins.

Everything else is data. Knows nothing of translation.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from iced_x86 import Code, Decoder, FlowControl, Instruction, Mnemonic, OpKind

from ubypass.region.graph import Block, End

__all__ = ["Function", "functions"]

_PADDING = frozenset({Mnemonic.NOP, Mnemonic.INT3})
_LEAVES = frozenset(
    {
        FlowControl.UNCONDITIONAL_BRANCH,
        FlowControl.INDIRECT_BRANCH,
        FlowControl.RETURN,
        FlowControl.EXCEPTION,
    }
)
_ENDS = {
    FlowControl.RETURN: End.RET,
    FlowControl.INDIRECT_BRANCH: End.JUMP_INDIRECT,
    FlowControl.INDIRECT_CALL: End.CALL_INDIRECT,
}


@dataclass(frozen=True, slots=True)
class Function:
    """The blocks between ``start`` and ``end``, in the order of their addresses."""

    start: int
    end: int
    blocks: tuple[Block, ...]


def functions(
    code: Mapping[int, bytes],
    ranges: Sequence[tuple[int, int]],
    symbols: Sequence[tuple[int, int]],
) -> Iterator[Function]:
    """All functions in ``code`` (executable bytes by address).

    ``ranges`` are (start, size) pairs to be trusted; ``symbols`` too, but those inside
    a range are that range's business, and a size may be 0 for "not known".
    """
    image = _Image(code)
    starts: dict[int, int] = {}
    for start, size in ranges:
        if image.has(start):
            starts[start] = max(starts.get(start, 0), start + size)
    known = _Known(starts)
    for start, size in symbols:
        if image.has(start) and not known.covers(start):
            known.add(start, start + size)
    todo = sorted(known.ends)
    while todo:
        outside: set[int] = set()
        for start in todo:
            function, leads = _function(image, start, known.end(start, image))
            outside |= leads
            if function.blocks:
                yield function
        todo = []
        for start in sorted(outside):
            if image.has(start) and not known.covers(start):
                known.add(start, start)
                todo.append(start)


class _Image:
    """Executable bytes by address."""

    def __init__(self, code: Mapping[int, bytes]) -> None:
        self._starts = sorted(code)
        self._code = code

    def _piece(self, address: int) -> tuple[int, bytes] | None:
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        start = self._starts[index]
        data = self._code[start]
        return (start, data) if address < start + len(data) else None

    def has(self, address: int) -> bool:
        """Whether there is code at ``address``."""
        return self._piece(address) is not None

    def end(self, address: int) -> int:
        """Where the piece with ``address`` in it ends."""
        piece = self._piece(address)
        return address if piece is None else piece[0] + len(piece[1])

    def bytes_at(self, address: int, size: int) -> bytes:
        """Up to ``size`` bytes."""
        piece = self._piece(address)
        if piece is None:
            return b""
        return piece[1][address - piece[0] : address - piece[0] + size]


class _Known:
    """Functions found so far: start → end, the start itself for "not known"."""

    def __init__(self, ends: dict[int, int]) -> None:
        self.ends = ends
        self._order = sorted(ends)

    def add(self, start: int, end: int) -> None:
        self.ends[start] = end
        self._order.insert(bisect_right(self._order, start), start)

    def covers(self, address: int) -> bool:
        """Whether some function has ``address``."""
        index = bisect_right(self._order, address) - 1
        if index < 0:
            return False
        start = self._order[index]
        return start == address or address < self.ends[start]

    def end(self, start: int, image: _Image) -> int:
        """Where the function ends: the next one's start if that is not known."""
        if self.ends[start] > start:
            return min(self.ends[start], image.end(start))
        index = bisect_right(self._order, start)
        limit = image.end(start)
        return min(limit, self._order[index]) if index < len(self._order) else limit


def _function(image: _Image, start: int, end: int) -> tuple[Function, set[int]]:
    """The function, and addresses outside that it leads to."""
    data = image.bytes_at(start, end - start)
    found: dict[int, Instruction] = {}
    leaders: set[int] = {start}
    outside: set[int] = set()
    exact = end
    _follow(data, start, [start], found, leaders, outside)
    _between(data, start, found, leaders, outside)
    blocks = tuple(_blocks(found, leaders))
    return Function(start, exact, blocks), outside


def _follow(
    data: bytes,
    base: int,
    todo: list[int],
    found: dict[int, Instruction],
    leaders: set[int],
    outside: set[int],
) -> None:
    """Add what control reaches from ``todo``."""
    end = base + len(data)
    while todo:
        at = todo.pop()
        if at in found:
            continue
        decoder = Decoder(64, data[at - base :], ip=at)
        while decoder.can_decode and decoder.ip not in found:
            instruction = decoder.decode()
            if instruction.code == Code.INVALID:
                break
            found[instruction.ip] = instruction
            target = _target(instruction)
            if target is not None:
                if base <= target < end:
                    leaders.add(target)
                    todo.append(target)
                else:
                    outside.add(target)
            if instruction.flow_control in _LEAVES:
                break
            if _ends(instruction):
                leaders.add(instruction.next_ip)


def _between(
    data: bytes,
    base: int,
    found: dict[int, Instruction],
    leaders: set[int],
    outside: set[int],
) -> None:
    """Add code that control reaches in ways that cannot be seen."""
    at = base
    end = base + len(data)
    while at < end:
        if at in found:
            at = found[at].next_ip
            continue
        run, after = _run(data, base, at, found)
        if run is None:
            at = after
            continue
        leaders.add(run)
        _follow(data, base, [run], found, leaders, outside)
        at = found[run].next_ip if run in found else after


def _run(
    data: bytes, base: int, at: int, found: dict[int, Instruction]
) -> tuple[int | None, int]:
    """Where code begins that fills the gap at ``at``, if so; where to look next."""
    decoder = Decoder(64, data[at - base :], ip=at)
    first: int | None = None
    while decoder.can_decode:
        if decoder.ip in found:
            return first, decoder.ip
        instruction = decoder.decode()
        if instruction.code == Code.INVALID:
            break
        padding = instruction.mnemonic in _PADDING or not any(
            data[instruction.ip - base : instruction.next_ip - base]
        )
        if first is None and not padding:
            first = instruction.ip
        if first is not None and instruction.flow_control in _LEAVES:
            return first, instruction.next_ip
    # Data: nothing more until code that is reached.
    following = at + 1
    end = base + len(data)
    while following < end and following not in found:
        following += 1
    return None, following


def _target(instruction: Instruction) -> int | None:
    if instruction.op_count and instruction.op0_kind == OpKind.NEAR_BRANCH64:
        return int(instruction.near_branch_target)
    return None


def _ends(instruction: Instruction) -> bool:
    return bool(
        instruction.flow_control != FlowControl.NEXT or instruction.code == Code.SYSCALL
    )


def _blocks(found: dict[int, Instruction], leaders: set[int]) -> Iterator[Block]:
    run: list[Instruction] = []
    for at in sorted(found):
        instruction = found[at]
        if run and (at in leaders or run[-1].next_ip != at):
            yield _block(run)
            run = []
        run.append(instruction)
        if _ends(instruction):
            yield _block(run)
            run = []
    if run:
        yield _block(run)


def _block(run: list[Instruction]) -> Block:
    last = run[-1]
    after = int(last.next_ip)
    flow = last.flow_control
    target = _target(last)
    targets: tuple[int, ...] = ()
    if not _ends(last):
        end, targets = End.FALL, (after,)
    elif last.code == Code.SYSCALL:
        end, targets = End.SYSCALL, (after,)
    elif target is not None and flow == FlowControl.UNCONDITIONAL_BRANCH:
        end, targets = End.JUMP, (target,)
    elif target is not None and flow == FlowControl.CONDITIONAL_BRANCH:
        end, targets = End.BRANCH, (target, after)
    elif target is not None and flow == FlowControl.CALL:
        end, targets = End.CALL, (target,)
    else:
        end = _ENDS.get(flow, End.STOP)
    return Block(int(run[0].ip), tuple(run), after, end, targets)
