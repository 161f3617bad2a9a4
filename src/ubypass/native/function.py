# SPDX-License-Identifier: GPL-2.0-only
"""A function of this process, called in a loop, as a region: discovered, translated.

Independent of the function and its arguments, which the caller chooses.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from iced_x86 import BlockEncoder, Code, Instruction, MemoryOperand, Register

from ubypass.abi import ExitReason
from ubypass.errors import UbError
from ubypass.native.case import ABI, PAGE, Area, Case, Layout, make_case
from ubypass.native.timing import Call, Timed
from ubypass.process.memory import ProcessMemory
from ubypass.region.discover import HotEntry, Limits, RegionSpec, discover
from ubypass.region.graph import Region
from ubypass.region.paths import jumps
from ubypass.translate.translate import translate

__all__ = ["SUM", "Function", "Learned"]

_ARGUMENTS = (
    *(Register.RDI, Register.RSI, Register.RDX),
    *(Register.RCX, Register.R8, Register.R9),
)
#: Registers in which the calling code keeps the first arguments. Constants in the code
#: would be recognized as addresses, unlike the arguments of most real callers.
_KEPT = (Register.RBP, Register.R13, Register.R14, Register.R15)
_KEPT_NUMBERS = (5, 13, 14, 15)
_RBX, _RSP = 3, 4
#: Number of the register with the sum of the results.
SUM = 12
_NR = 39
_ROUNDS = 60
# Limits of a region around the known path.
_LIMITS = Limits(region=6_000, reach=24, candidates=24, detour=24)
# Distances at which to place the calling code: near enough for a direct call.
_STEP = 0x400_0000
_TRIES = 24


@dataclass(frozen=True, slots=True)
class Function:
    """A function at ``address``, called with integers and pointers."""

    address: int
    arguments: tuple[int, ...]


class _Reader:
    """Reads this process's code, and the calling code."""

    def __init__(self, text: int, code: bytes) -> None:
        self._text, self._code = text, code
        self._memory = ProcessMemory(os.getpid())

    def read(self, address: int, size: int) -> bytes:
        offset = address - self._text
        if 0 <= offset < len(self._code):
            return self._code[offset : offset + size]
        return self._memory.read(address, size)

    def read_data(self, address: int, size: int) -> bytes:
        return self._memory.read_data(address, size)


@dataclass
class Learned:
    """A function with its translation, ready to be called.

    ``left``: address and reason of the last early exit; None: there is none.
    ``rounds``: the number of translations until all code in use was found.
    """

    case: Case
    region: Region
    timed: Timed
    arguments: tuple[int, ...]
    rounds: int
    left: str | None = None
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        self.layout = self.case.layout

    @classmethod
    def learn(cls, function: Function, *, trusted: bool = False) -> Learned:
        """Translate the code that a call of ``function`` runs, as far as possible.

        The path of the call is traced first, as the module does for hot gaps.
        ``trusted``: as the code of a trusted program.
        """
        abi = replace(ABI, trusted=trusted)
        text = _place(function)
        code, site = _caller(text, function)
        reader = _Reader(text, code)
        layout = Layout(text + PAGE * 16, text + PAGE * 32, text + PAGE * 48)
        blocks: list[int] = []
        targets: dict[int, tuple[int, ...]] = {}
        execution_counts: Counter[int] = Counter()
        left: str | None = None
        for rounds in range(1, _ROUNDS + 1):
            spec = RegionSpec(
                (HotEntry(text, _NR),),
                tuple(blocks),
                dict(targets),
                traced=frozenset(execution_counts),
                execution_counts=execution_counts,
            )
            region = discover(spec, reader, _LIMITS)
            case = make_case(
                region, translate(region, abi), {text: _padded(code)}, layout
            )
            areas = (case.areas[0], Area(layout.stack, 16 * PAGE, write=True))
            case = replace(case, areas=areas, ends=(site,), sites=())
            learned = cls(case, region, Timed(case), function.arguments, rounds)
            if not execution_counts:
                # One iteration and the exit.
                path = learned.call(2, translated=False, count=True).path
                execution_counts, targets = Counter(path), _jumps(path)
                continue
            call = learned.call(2, translated=True)
            left = _learn(call, blocks, targets)
            learned.left = _words(call) if call.early else None
            if left is None:
                return learned
        return learned

    def call(self, turns: int, *, translated: bool, count: bool = False) -> Call:
        """Call the function ``turns`` times."""
        return self.timed.call(
            self.registers(turns), translated=translated, count=count
        )

    def registers(self, turns: int) -> list[int]:
        """Initial registers of the calling code for ``turns`` calls."""
        registers = [0] * 16
        registers[_RBX] = turns
        registers[_RSP] = self.layout.stack + 15 * PAGE
        for number, value in zip(_KEPT_NUMBERS, self.arguments, strict=False):
            registers[number] = value & (1 << 64) - 1
        return registers


def _words(call: Call) -> str:
    assert call.exit is not None
    return f"{call.exit.reason.name} at {call.exit.user_ip:#x}"


def _jumps(path: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """Targets of the branches of a path by address, the most frequent first."""
    found: dict[int, Counter[int]] = {}
    for before, after in jumps(path):
        found.setdefault(before, Counter())[after] += 1
    return {
        at: tuple(target for target, _ in counts.most_common())
        for at, counts in found.items()
    }


def _learn(
    call: Call, blocks: list[int], targets: dict[int, tuple[int, ...]]
) -> str | None:
    """Record the target of an early exit; None if there is nothing new."""
    leave = call.exit
    if leave is None or not call.early:
        return None
    at = leave.user_ip
    if leave.reason in (
        ExitReason.RET_MISS,
        ExitReason.CALL_MISS,
        ExitReason.JUMP_MISS,
    ):
        known = targets.get(at, ())
        if call.target in known:
            return None
        targets[at] = (*known, call.target)
        return "target"
    if leave.reason == ExitReason.FRONTIER and at not in blocks:
        blocks.append(at)
        return "frontier"
    return None


def _place(function: Function) -> int:
    """An address near the function with free address space behind it."""
    taken = _mappings()
    base = function.address & -_STEP
    for number in range(1, _TRIES):
        for at in (base - number * _STEP, base + number * _STEP):
            if all(stop <= at or start >= at + 64 * PAGE for start, stop in taken):
                return at
    raise UbError("no free memory near the function")


def _mappings() -> list[tuple[int, int]]:
    found = []
    with open("/proc/self/maps") as lines:
        for line in lines:
            start, _, stop = line.split()[0].partition("-")
            found.append((int(start, 16), int(stop, 16)))
    return found


def _caller(text: int, function: Function) -> tuple[bytes, int]:
    """Code at ``text`` that calls the function rbx times; the address of its end."""
    create = Instruction.create_reg_i32
    loop = [
        Instruction.create_reg_reg(Code.MOV_R64_RM64, register, kept)
        for register, kept, _ in zip(
            _ARGUMENTS, _KEPT, function.arguments, strict=False
        )
    ]
    known = len(_KEPT)
    loop += [
        Instruction.create_reg_u64(Code.MOV_R64_IMM64, register, value)
        for register, value in zip(
            _ARGUMENTS[known:], function.arguments[known:], strict=False
        )
    ]
    loop += [
        # al = 0: no arguments in vector registers.
        create(Code.MOV_R32_IMM32, Register.EAX, 0),
        Instruction.create_branch(Code.CALL_REL32_64, function.address),
        Instruction.create_reg_mem(
            Code.LEA_R64_M,
            Register.R12,
            MemoryOperand(Register.R12, Register.RAX, 1, 0, 0),
        ),
        create(Code.SUB_RM64_IMM8, Register.RBX, 1),
        Instruction.create_branch(Code.JNE_REL32_64, text),
        create(Code.MOV_R32_IMM32, Register.EAX, _NR),
    ]
    # The branch back needs the address of the start of the loop.
    loop[0].ip = text
    encoder = BlockEncoder(64, True)
    encoder.add_many(loop)
    code = encoder.encode(text)
    return code + b"\x0f\x05" + b"\xcc" * 16, text + len(code)


def _padded(code: bytes) -> bytes:
    return code + b"\xcc" * (-len(code) % PAGE)
