# SPDX-License-Identifier: GPL-2.0-only
"""The instructions of a program's functions, as blocks.

Not all bytes are code: functions are padded, and hand-written assembly has tables in
``.text``. Code is

1. everything that control reaches from the start of a function. Functions are the
   ranges in ``.eh_frame`` (:meth:`ubypass.process.elf.ElfFile.function_ranges`), then
   function symbols outside of these ranges, then targets of direct calls and jumps
   outside of both, up to the start of the next known function;
2. inside of a function, the bytes between reached code (cases of a ``switch``, landing
   pads), if, after padding, they decode up to an instruction that ends a block without
   a fall-through, or up to reached code.

Everything else is data. Independent of translation.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from iced_x86 import Code, Decoder, FlowControl, Instruction, Mnemonic, OpKind

from ubypass.region.block_end import block_end
from ubypass.region.graph import Block

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

    ``ranges``: trusted (start, size) pairs. ``symbols``: the same, but symbols inside a
    range are ignored, and a size of 0 means unknown.
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
        """The end of the piece that contains ``address``."""
        piece = self._piece(address)
        return address if piece is None else piece[0] + len(piece[1])

    def bytes_at(self, address: int, size: int) -> bytes:
        """Up to ``size`` bytes."""
        piece = self._piece(address)
        if piece is None:
            return b""
        return piece[1][address - piece[0] : address - piece[0] + size]


class _Known:
    """Functions found so far: start → end; the start itself if the end is unknown."""

    def __init__(self, ends: dict[int, int]) -> None:
        self.ends = ends
        self._order = sorted(ends)

    def add(self, start: int, end: int) -> None:
        self.ends[start] = end
        self._order.insert(bisect_right(self._order, start), start)

    def covers(self, address: int) -> bool:
        """Whether a known function contains ``address``."""
        index = bisect_right(self._order, address) - 1
        if index < 0:
            return False
        start = self._order[index]
        return start == address or address < self.ends[start]

    def end(self, start: int, image: _Image) -> int:
        """The end of the function; if unknown, the start of the next one."""
        if self.ends[start] > start:
            return min(self.ends[start], image.end(start))
        index = bisect_right(self._order, start)
        limit = image.end(start)
        return min(limit, self._order[index]) if index < len(self._order) else limit


def _function(image: _Image, start: int, end: int) -> tuple[Function, set[int]]:
    """The function, and the targets of its branches outside of it."""
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
    """Add the instructions that control reaches from ``todo``."""
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
    """Add code between reached code, such as targets of indirect jumps."""
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
    """The start of code in the gap at ``at``, or None; and the next address to try."""
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
    # Data: skip to the next reached code.
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
    return bool(instruction.flow_control != FlowControl.NEXT)


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
    end, targets = block_end(last, last.flow_control, after)
    return Block(int(run[0].ip), tuple(run), after, end, targets)
