# SPDX-License-Identifier: GPL-2.0-only
"""An assembler for small BPF programs; independent of the programs.

One instruction per line; ``name:`` is a label, ``;`` starts a comment. Operands are
registers (``r3``), memory (``[r6+12]``), numbers, labels, and names with values. The
instructions are those of Documentation/bpf/instruction-set.rst, 64 bits wide:

    load8 load16 load32 load64 R, [R+K]     jump LABEL
    mov add sub R, R or number              jgt jlt jne R, R or number, LABEL
    atomic_add [R+K], R                     call number
    map R, number    (its file descriptor)  exit
    value R, number  (address of the first value of that map)
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

from ubypass.errors import UbError

__all__ = ["assemble"]

# Opcodes with an immediate operand; the register form has one more bit set.
_LOADS = {"load8": 0x71, "load16": 0x69, "load32": 0x61, "load64": 0x79}
_ALU = {"mov": 0xB7, "add": 0x07, "sub": 0x17}
_JUMPS = {"jgt": 0x25, "jlt": 0xA5, "jne": 0x55}
_WIDE = {"map": 1, "value": 2}
_REGISTER = 0x08
_ATOMIC_ADD, _LOAD_WIDE, _JUMP, _CALL, _EXIT = 0xDB, 0x18, 0x05, 0x85, 0x95

_MEMORY = re.compile(r"\[r(\d)\+(\d+)\]")
_REG = re.compile(r"r(\d)")


def assemble(text: str, values: Mapping[str, int] | None = None) -> bytes:
    """Assemble ``text``; ``values``: the values of its names.

    Raises UbError for a line that is no instruction.
    """
    lines = [line.partition(";")[0].strip() for line in text.splitlines()]
    names = dict(values or {})
    labels: dict[str, int] = {}
    code: list[tuple[int, str]] = []
    at = 0
    for line in filter(None, lines):
        if line.endswith(":"):
            labels[line[:-1]] = at
            continue
        code.append((at, line))
        at += 2 if line.split()[0] in _WIDE else 1
    return b"".join(_instruction(line, at, labels, names) for at, line in code)


def _instruction(
    line: str, at: int, labels: Mapping[str, int], values: Mapping[str, int]
) -> bytes:
    name, _, rest = line.partition(" ")
    operands = [word.strip() for word in rest.split(",")] if rest else []
    try:
        if name in _WIDE:
            target, fd = operands
            first = _encode(
                _LOAD_WIDE, _reg(target), _WIDE[name], 0, _number(fd, values)
            )
            return first + _encode(0)
        if name in _LOADS:
            base, offset = _memory(operands[1])
            return _encode(_LOADS[name], _reg(operands[0]), base, offset)
        if name == "atomic_add":
            base, offset = _memory(operands[0])
            return _encode(_ATOMIC_ADD, base, _reg(operands[1]), offset)
        if name in _ALU:
            target, source = operands
            return _two(_ALU[name], target, source, 0, values)
        if name in _JUMPS:
            left, right, label = operands
            return _two(_JUMPS[name], left, right, labels[label] - at - 1, values)
        if name == "jump":
            return _encode(_JUMP, offset=labels[operands[0]] - at - 1)
        if name == "call":
            return _encode(_CALL, immediate=_number(operands[0], values))
        if name == "exit" and not operands:
            return _encode(_EXIT)
    except (LookupError, ValueError, struct.error) as error:
        raise UbError(f"cannot assemble {line!r}") from error
    raise UbError(f"no instruction: {line!r}")


def _two(
    code: int, target: str, source: str, offset: int, values: Mapping[str, int]
) -> bytes:
    """An instruction whose second operand is a register or a number."""
    if _REG.fullmatch(source):
        return _encode(code | _REGISTER, _reg(target), _reg(source), offset)
    return _encode(code, _reg(target), 0, offset, _number(source, values))


def _encode(
    code: int, target: int = 0, source: int = 0, offset: int = 0, immediate: int = 0
) -> bytes:
    return struct.pack("<BBhi", code, source << 4 | target, offset, immediate)


def _reg(word: str) -> int:
    found = _REG.fullmatch(word)
    if found is None:
        raise ValueError(word)
    return int(found[1])


def _memory(word: str) -> tuple[int, int]:
    found = _MEMORY.fullmatch(word)
    if found is None:
        raise ValueError(word)
    return int(found[1]), int(found[2])


def _number(word: str, values: Mapping[str, int]) -> int:
    return values[word] if word in values else int(word, 0)
