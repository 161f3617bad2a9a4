# SPDX-License-Identifier: GPL-2.0-only
"""Find the region: user code that runs between hot system calls.

Follows direct branches and calls, and returns and indirect branches as far as
their targets have been learned. Must not depend on what can be translated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from iced_x86 import Code, FlowControl, Instruction, Mnemonic, OpKind, Register

from ubypass.abi import SiteKey, Source
from ubypass.errors import UbError
from ubypass.region.block_end import block_end
from ubypass.region.callgraph import internal_returns
from ubypass.region.decode import Decoded, Step
from ubypass.region.graph import Block, End, Region, predecessors, reachable
from ubypass.region.paths import distances, paths_to_calls, short_paths, side_paths
from ubypass.region.reader import CodeReader, DataReader
from ubypass.region.stackwalk import learn_returns

__all__ = ["HotEntry", "Limits", "RegionSpec", "discover", "regions"]

# Plain integers, because they are compared often. A system call is a call.
_NEXT: Final[int] = FlowControl.NEXT
_CALL: Final[int] = FlowControl.CALL
_JUMP: Final[int] = FlowControl.UNCONDITIONAL_BRANCH
_BRANCH: Final[int] = FlowControl.CONDITIONAL_BRANCH
_JUMP_INDIRECT: Final[int] = FlowControl.INDIRECT_BRANCH
_CALL_INDIRECT: Final[int] = FlowControl.INDIRECT_CALL
_RETURN: Final[int] = FlowControl.RETURN
# Length of the longest instruction, in bytes.
_LONGEST: Final = 15


@dataclass(frozen=True)
class HotEntry:
    """A hot site, that is a resume address and a call number, and the words on the
    user stack.
    """

    resume: int
    nr: int
    stack: tuple[int, ...] = ()

    @property
    def key(self) -> SiteKey:
        """The site."""
        return SiteKey(self.resume, self.nr)


@dataclass(frozen=True)
class RegionSpec:
    """The input of the exploration of a region.

    ``seeds`` are further addresses to explore from (frontiers that turned out
    hot). ``targets`` maps the address of a ``ret`` or of an indirect jump or call
    to the targets seen, hottest first. ``stops`` are sites (barriers) at which
    the region ends after a dispatch: the gap that follows is too long. Behind other
    calls at the same address it goes on.
    ``numbers`` are call numbers by resume address, most frequent first; numbers of the
    entries are appended.
    ``traced`` are addresses of instructions that are known to run between the entries
    and the next system calls; if there are any, only short paths around them are
    explored besides. ``execution_counts``: executions of each in the traces. ``rare``
    are others that run there seldom: explored alike, but translated as cold code.
    ``nonpointers``: see :class:`~ubypass.region.graph.Region`.
    """

    entries: tuple[HotEntry, ...]
    seeds: tuple[int, ...] = ()
    targets: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    stops: frozenset[SiteKey] = frozenset()
    numbers: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    traced: frozenset[int] = frozenset()
    rare: frozenset[int] = frozenset()
    execution_counts: Mapping[int, int] = field(default_factory=dict)
    nonpointers: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """Bounds of the exploration, in user instructions unless said otherwise.

    ``region``: total size. ``explored``: size before useless code is removed (0: the
    same as ``region``). ``reach``: distance from the nearest entry, dispatch or learned
    address. ``candidates``: number of targets of one ret or indirect branch.
    ``fringe``: distance from ``RegionSpec.seeds`` within which code is kept although
    no system call is known to be reachable, so that its exits report how paths
    continue.
    ``detour``: excess over the shortest path to a system call, from an entry or from
    one of ``RegionSpec.seeds``, up to which a path is kept; None: any explored path is
    kept. With traced paths, it is the length of a path around them.
    """

    region: int = 4000
    reach: int = 256
    candidates: int = 4
    fringe: int = 0
    detour: int | None = None
    explored: int = 0


def discover(
    spec: RegionSpec, reader: CodeReader, limits: Limits | None = None
) -> Region:
    """The region that ``spec`` describes.

    Raises :class:`UbError` when none of the entries is code.
    """
    return _Explored(spec, reader, limits or Limits()).region(limits or Limits())


def regions(
    spec: RegionSpec, reader: CodeReader, choices: Iterable[Limits]
) -> Iterator[tuple[Limits, Region]]:
    """The region with each of ``choices``; code is explored as seldom as possible.

    Around traced paths, what was explored for long detours has the shorter ones, too.
    Raises as :func:`discover`.
    """
    explored: _Explored | None = None
    for limits in choices:
        if explored is None or not explored.serves(limits):
            explored = _Explored(spec, reader, limits)
        yield limits, explored.region(limits)


class _Explored:
    """The code within ``limits``, of which regions are parts."""

    def __init__(self, spec: RegionSpec, reader: CodeReader, limits: Limits) -> None:
        self._spec = spec
        self._limits = limits
        self._code = code = Decoded(reader)
        entries = [entry for entry in spec.entries if code.at(entry.resume) is not None]
        if not entries:
            raise UbError(
                "no entry of the region has translatable code",
                "code must be in private, executable, non-writable mappings",
            )
        self._keys = tuple(dict.fromkeys(entry.key for entry in entries))
        self._hot = tuple(dict.fromkeys(key.ip for key in self._keys))
        self._blocks = _Finder(spec, reader, code, limits).run()

    def serves(self, limits: Limits) -> bool:
        """Whether the region with ``limits`` is a part of this."""
        own = self._limits
        wider = replace(
            own, region=limits.region, reach=limits.reach, detour=limits.detour
        )
        return (
            bool(self._spec.traced)
            and bool(own.explored)
            and wider == limits
            and limits.reach <= own.reach
        )

    def region(self, limits: Limits) -> Region:
        """The part of the code that ``limits`` keeps."""
        spec = self._spec
        blocks = _pruned(self._blocks, self._kept(limits), self._hot)
        counts = spec.execution_counts
        return Region(
            blocks=blocks,
            entries=_all_entries(blocks, self._keys),
            sources=_sources(blocks, self._code),
            predecessors=predecessors(blocks),
            seeds=tuple(start for start in spec.seeds if start in blocks),
            traced=spec.traced.intersection(blocks),
            execution_counts={at: n for at, n in counts.items() if at in blocks},
            never_taken=_never_taken(blocks, spec),
            nonpointers=spec.nonpointers,
        )

    def _kept(self, limits: Limits) -> set[int]:
        """Starts of the blocks that are worth it."""
        spec, blocks = self._spec, self._blocks
        if spec.traced:
            seen = spec.traced | spec.rare
            known = [start for start in blocks if start in seen]
            roots = (*known, *self._hot, *spec.seeds)
            return side_paths(blocks, roots, limits.detour or 0)
        if limits.detour is None:
            fringe: set[int] = set()
            if limits.fringe:
                fringe.update(distances(blocks, spec.seeds, limits.fringe))
            return paths_to_calls(blocks, self._hot, fringe)
        return _fitting_paths(blocks, (*self._hot, *spec.seeds), limits)


def _never_taken(blocks: dict[int, Block], spec: RegionSpec) -> frozenset[int]:
    """The branches on traced paths that were not taken.

    A trace cannot tell for jumps over less than the length of an instruction.
    """
    found = set()
    for block in blocks.values():
        if block.end == End.BRANCH:
            at, target = block.last.ip, block.targets[0]
            told = not at < target <= at + _LONGEST
            if told and at in spec.traced and target not in spec.targets.get(at, ()):
                found.add(at)
    return frozenset(found)


class _Finder:
    """The state of one exploration."""

    def __init__(
        self, spec: RegionSpec, reader: CodeReader, code: Decoded, limits: Limits
    ) -> None:
        self._spec = spec
        self._data = reader if isinstance(reader, DataReader) else None
        self._code = code
        self._limits = limits
        self._most = limits.explored or limits.region
        self._found: dict[int, Step] = {}
        self._leaders: set[int] = set()
        self._calls: list[int] = []
        self._traced = spec.traced | spec.rare
        self._learned_starts = self._traced.union(spec.seeds)
        hot = [entry.resume for entry in spec.entries]
        self._roots = dict.fromkeys([*hot, *spec.seeds])
        #: Addresses to visit by distance, in FIFO order; how many of them are visited;
        #: and the least distance at which any may be left.
        self._queue: list[list[int]] = []
        self._served: list[int] = []
        self._least = 0
        #: Call numbers by site, each once, in order.
        self._numbers: dict[int, dict[int, None]] = {}
        for resume, numbers in spec.numbers.items():
            self._numbers[resume - 2] = dict.fromkeys(numbers)
        for entry in spec.entries:
            self._numbers.setdefault(entry.resume - 2, {})[entry.nr] = None
        self._stops: dict[int, set[int]] = {}
        for stop in spec.stops:
            self._stops.setdefault(stop.ip, set()).add(stop.nr)
        self._targets: dict[int, list[int]] = {
            site: list(targets) for site, targets in spec.targets.items()
        }
        for entry in spec.entries:
            walked = learn_returns(code, entry.resume, entry.stack)
            for site, points in walked.items():
                known = self._targets.setdefault(site, [])
                known.extend(p for p in points if p not in known)

    def run(self) -> dict[int, Block]:
        """Explore; the blocks found, by start."""
        for start in self._roots:
            self._push(start, 0)
        self._explore()
        for site, points in internal_returns(
            self._found, self._targets, self._calls
        ).items():
            known = self._targets.setdefault(site, [])
            known.extend(p for p in points if p not in known)
            for point in points:
                step = self._found.get(point)
                if step is not None:
                    self._lead(step, point)
        return {start: self._block(start) for start in self._leaders}

    def _push(self, address: int, distance: int) -> None:
        if address in self._traced:
            distance = 0
        while distance >= len(self._queue):
            self._queue.append([])
            self._served.append(0)
        self._queue[distance].append(address)
        if distance < self._least:
            self._least = distance

    def _explore(self) -> None:
        queue, served = self._queue, self._served
        while self._least < len(queue):
            distance = self._least
            number = served[distance]
            if number == len(queue[distance]):
                self._least = distance + 1
                continue
            served[distance] = number + 1
            address = queue[distance][number]
            step = self._found.get(address)
            if step is not None:
                self._lead(step, address)
            elif self._room(distance):
                step = self._code.step(address)
                if step is not None:
                    self._lead(step, address)
                    self._straight(step, address, distance)

    def _lead(self, step: Step, address: int) -> None:
        """A block starts at ``step``, which is at ``address``."""
        step.leader = True
        self._leaders.add(address)

    def _room(self, distance: int) -> bool:
        return distance < self._limits.reach and len(self._found) < self._most

    def _straight(self, step: Step, address: int, distance: int) -> None:
        """Explore straight-line code from ``step``, which is at ``address``."""
        found, starts = self._found, self._learned_starts
        while True:
            if address in starts:
                distance = 0
            if not self._room(distance):
                return
            if step.found:
                self._lead(step, address)
                return
            step.found = True
            found[address] = step
            distance += 1
            if step.flow != _NEXT:
                self._follow(step, distance)
                return
            address = step.next_ip
            following = step.following
            if following is None:
                following = step.following = self._code.step(address)
                if following is None:
                    return
            step = following

    def _follow(self, step: Step, distance: int) -> None:
        """Queue the successors of the end of straight-line code."""
        instruction, flow, following = step.instruction, step.flow, step.next_ip
        if flow == _CALL and instruction.code == Code.SYSCALL:
            if self._goes_on(following):
                self._push(following, 0)
        elif flow == _JUMP:
            self._push(instruction.near_branch_target, distance)
        elif flow == _BRANCH:
            self._push(following, distance)
            self._push(instruction.near_branch_target, distance + 1)
        elif flow == _CALL and _is_direct(instruction):
            self._calls.append(instruction.ip)
            self._push(instruction.near_branch_target, distance)
            self._push(following, distance + 8)
        elif flow in (_JUMP_INDIRECT, _CALL_INDIRECT):
            self._learn_slot(instruction)
            # A jump through a slot (PLT) has one target, which is no neighbour.
            if flow == _JUMP_INDIRECT and not instruction.is_ip_rel_memory_operand:
                self._learn_near(instruction.ip, following)
            self._push_learned(instruction.ip, distance)
            if flow == _CALL_INDIRECT:
                self._calls.append(instruction.ip)
                self._push(following, distance + 8)
        elif flow == _RETURN:
            self._push_learned(instruction.ip, distance)

    def _goes_on(self, resume: int) -> bool:
        """Whether the region goes on behind any call that returns to ``resume``."""
        stops = self._stops.get(resume)
        if stops is None:
            return True
        return any(nr not in stops for nr in self._numbers.get(resume - 2, ()))

    def _push_learned(self, site: int, distance: int) -> None:
        seen = self._spec.targets.get(site, ())
        for target in self._targets.get(site, [])[: self._limits.candidates]:
            # Only targets that were seen count as hot.
            self._push(target, 0 if target in seen else distance)

    def _learn_near(self, site: int, following: int) -> None:
        """Learn a traced target so near behind a jump that the step looked sequential.

        See :func:`ubypass.region.paths.jumps`; compilers often put the first case of a
        switch there. Control never falls through to the first traced address behind an
        indirect jump, so it is a target, if perhaps of another one.
        """
        traced = self._traced
        if site not in traced:
            return
        for target in range(following, site + _LONGEST + 1):
            if target in traced:
                known = self._targets.setdefault(site, [])
                if target not in known:
                    known.append(target)
                return

    def _learn_slot(self, instruction: Instruction) -> None:
        """Learn the current target of a jump through a constant slot (PLT)."""
        if self._data is None or not instruction.is_ip_rel_memory_operand:
            return
        try:
            data = self._data.read_data(instruction.ip_rel_memory_address, 8)
        except UbError:
            return
        target = int.from_bytes(data, "little")
        known = self._targets.setdefault(instruction.ip, [])
        if len(data) == 8 and target not in known and self._code.at(target) is not None:
            known.append(target)

    def _block(self, start: int) -> Block:
        run: list[Instruction] = []
        address = start
        step = self._found.get(start)
        # Steps that follow without a link were not found, or are leaders.
        while step is not None and step.found and not (run and step.leader):
            run.append(step.instruction)
            if step.flow != _NEXT:
                return self._ended(start, run, step)
            address = step.next_ip
            step = step.following
        return Block(start, tuple(run), address, End.FALL, (address,))

    def _ended(self, start: int, run: list[Instruction], step: Step) -> Block:
        last = step.instruction
        end, targets = block_end(last, step.flow, step.next_ip)
        numbers: tuple[int, ...] = ()
        stops: tuple[int, ...] = ()
        known = False
        if end is End.SYSCALL:
            constant = _constant_rax(run)
            known = constant is not None
            if constant is not None:
                numbers = (constant,)
            else:
                numbers = tuple(self._numbers.get(last.ip, ()))
                ends = self._stops.get(step.next_ip, ())
                stops = tuple([nr for nr in numbers if nr in ends])
                on = tuple([nr for nr in numbers if nr not in ends])
                # The likely path is that of a call behind which the region goes on.
                numbers = (*on, *stops)
                stops = stops if on else ()
        elif end in (End.RET, End.JUMP_INDIRECT, End.CALL_INDIRECT):
            targets = self._present(last.ip)
        return Block(
            start, tuple(run), step.next_ip, end, targets, numbers, known, stops
        )

    def _present(self, site: int) -> tuple[int, ...]:
        known = [t for t in self._targets.get(site, ()) if t in self._leaders]
        return tuple(known[: self._limits.candidates])


def _fitting_paths(
    blocks: dict[int, Block], roots: tuple[int, ...], limits: Limits
) -> set[int]:
    """Short paths, with the longest detours that fit the limits."""
    detour = limits.detour or 0
    while True:
        kept = short_paths(blocks, roots, limits.fringe, detour)
        size = sum(len(blocks[start].instructions) for start in kept)
        if size <= limits.region or not detour:
            return kept
        detour //= 2


def _pruned(
    blocks: dict[int, Block], kept: set[int], hot: tuple[int, ...]
) -> dict[int, Block]:
    """The ``kept`` blocks that can be reached without the other blocks."""
    found = {start: blocks[start] for start in sorted(kept)}
    for start, block in found.items():
        if block.open:
            known = tuple([t for t in block.targets if t in found])
            if known != block.targets:
                found[start] = replace(block, targets=known)
    return {start: found[start] for start in sorted(reachable(found, hot))}


def _is_direct(instruction: Instruction) -> bool:
    return bool(instruction.op0_kind == OpKind.NEAR_BRANCH64)


def _constant_rax(run: list[Instruction]) -> int | None:
    """The constant in eax at the end of the block, if the block itself sets it."""
    for position in range(len(run) - 2, -1, -1):
        instruction = run[position]
        if instruction.op_count == 0:
            if instruction.mnemonic in (Mnemonic.NOP, Mnemonic.ENDBR64):
                continue
            return None
        register = instruction.op0_register
        if register in (Register.EAX, Register.RAX):
            if instruction.mnemonic == Mnemonic.MOV and instruction.op1_kind in (
                OpKind.IMMEDIATE32,
                OpKind.IMMEDIATE32TO64,
                OpKind.IMMEDIATE64,
            ):
                return int(instruction.immediate(1)) & 0xFFFFFFFF
            if (
                instruction.mnemonic == Mnemonic.XOR
                and instruction.op1_register == register
            ):
                return 0
            if instruction.mnemonic not in (Mnemonic.CMP, Mnemonic.TEST):
                return None
        elif instruction.mnemonic not in _LEAVES_RAX or any(
            instruction.op_register(i) in (Register.AL, Register.AH, Register.AX)
            for i in range(instruction.op_count)
        ):
            return None
    return None


# Two-operand instructions that write only their first operand.
_LEAVES_RAX: Final = frozenset(
    {
        Mnemonic.MOV,
        Mnemonic.MOVZX,
        Mnemonic.MOVSX,
        Mnemonic.MOVSXD,
        Mnemonic.LEA,
        Mnemonic.ADD,
        Mnemonic.SUB,
        Mnemonic.AND,
        Mnemonic.OR,
        Mnemonic.XOR,
        Mnemonic.CMP,
        Mnemonic.TEST,
        Mnemonic.NOP,
        Mnemonic.PUSH,
        Mnemonic.SHL,
        Mnemonic.SHR,
        Mnemonic.SAR,
    }
)


def _all_entries(
    blocks: dict[int, Block], hot: tuple[SiteKey, ...]
) -> tuple[SiteKey, ...]:
    rest = sorted(
        SiteKey(block.next_ip, nr)
        for block in blocks.values()
        if block.end == End.SYSCALL and block.next_ip in blocks
        for nr in block.numbers
        if nr not in block.stops
    )
    return tuple(dict.fromkeys([h for h in hot if h.ip in blocks] + rest))


def _sources(blocks: dict[int, Block], code: Decoded) -> tuple[Source, ...]:
    ranges: list[list[int]] = []
    for start, stop in sorted((b.start, b.next_ip) for b in blocks.values()):
        if ranges and start <= ranges[-1][1]:
            ranges[-1][1] = max(ranges[-1][1], stop)
        else:
            ranges.append([start, stop])
    return tuple(Source(start, _bytes(code, start, stop)) for start, stop in ranges)


def _bytes(code: Decoded, start: int, stop: int) -> bytes:
    out = b""
    while len(out) < stop - start:
        part = code.bytes_at(start + len(out), min(256, stop - start - len(out)))
        if not part:
            raise UbError(
                f"code at {start + len(out):#x} was unmapped while being read"
            )
        out += part
    return out
