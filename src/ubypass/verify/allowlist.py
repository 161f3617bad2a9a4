# SPDX-License-Identifier: GPL-2.0-only
"""Reads ``allowlist.txt``: the allowed encodings and their effects.

The list is the verifier's own description of the instruction set: encodings and
immediates (used by :mod:`.encoding`), operand effects (used by :mod:`.decode`).
Must not depend on capstone or on the rules about memory and control flow.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources

__all__ = ["GPR", "Form", "Key", "allowed", "every_feature"]

#: Host register numbers as in the instruction set.
GPR = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip

#: (family, mandatory prefix, opcode map, opcode byte); the family is 0 for legacy
#: encodings, 1 for VEX, 2 for EVEX.
Key = tuple[int, int, int, int]

_PREFIX = {"np": 0, "66": 0x66, "f3": 0xF3, "f2": 0xF2}
_FAMILY = {"": 0, "v": 1, "e": 2}
_MAPS = {"": 0, "0F": 1, "0F38": 2, "0F3A": 3}
_TOKEN = re.compile(
    r"([ve]?)(?:(np|66|f3|f2)\.)?(0F38|0F3A|0F)?([0-9A-F]{2})((?::.*)?)"
)
_ATTRIBUTE = re.compile(
    r"/[0-7]|rm[0-7]|rel8|rel32|srcb|no66|acc|cl|cc|str|mem|reg|va|is4|i[bwzv]"
    r"|[wb][01]|l[012]|lig|[kg][rm]|kv|k|zr?|bc[248]|er|sae|[rb+]"
)


@dataclass(frozen=True, slots=True)
class Form:
    """One encoding of one instruction, from a line of the list.

    ``size`` is ``v``, ``y``, ``q`` or ``.``; ``mem`` the bytes of a memory
    operand: "" for the operand size, ``x`` for the vector length, ``x2`` for half the
    vector length and so on, or a number. ``features``: required features,
    ``long_features`` those of the longest vector length. ``lengths``: the vector
    lengths that exist, all if empty. ``broadcast``: bytes of an element that EVEX.b
    broadcasts, or 0. ``rm``: the required rm field, or -1. ``x87``: sets FIP.
    ``implied`` has (access, register number) with access ``=``, ``~`` or ``*``.
    """

    names: tuple[str, ...]
    ops: str
    size: str
    mem: str
    keeps_flags: bool
    implied: tuple[tuple[str, int], ...]
    attributes: frozenset[str]
    modrm: bool
    extension: int
    features: frozenset[str]
    long_features: frozenset[str]
    fp: bool
    vector: bool
    x87: bool
    lengths: frozenset[int]
    broadcast: int
    rm: int


@functools.cache
def allowed() -> dict[Key, tuple[Form, ...]]:
    """All forms by opcode.

    Raises ValueError when the list itself is malformed: without a valid policy nothing
    may be verified.
    """
    text = resources.files(__package__).joinpath("allowlist.txt").read_text("ascii")
    table: dict[Key, list[Form]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        try:
            for key, form in _line(line.split()):
                table.setdefault(key, []).append(form)
        except (ValueError, KeyError, IndexError) as error:
            raise ValueError(f"allowlist.txt:{number}: {error}: {line}") from error
    return {key: tuple(forms) for key, forms in table.items()}


def every_feature() -> frozenset[str]:
    """All processor features that forms of the list need."""
    forms = [form for forms in allowed().values() for form in forms]
    return frozenset[str]().union(
        *(form.features | form.long_features for form in forms)
    )


def _line(words: list[str]) -> list[tuple[Key, Form]]:
    """One line of the list, as (opcode, form) pairs."""
    name, ops, width, flags, implied, *rest = words
    size, _, mem = width.partition("/")
    if size not in ("v", "y", "q", ".") or flags not in ("k", "f"):
        raise ValueError("bad size or flags")
    if ops != "." and set(ops) - set("rwm-"):
        raise ValueError("bad operand effects")
    features = [word[1:] for word in rest if word[0] == "@"]
    tokens = [word for word in rest if word[0] not in "@!"]
    if not tokens or len(features) > 1:
        raise ValueError("no encoding, or two features")
    if "!x87" in rest and "!fp" not in rest:
        raise ValueError("what sets FIP waits for exceptions")
    short, _, long = features[0].partition("/") if features else ("", "", "")
    registers = [] if implied == "-" else implied.split(",")
    effects = tuple((item[0], GPR.index(item[1:])) for item in registers)
    if any(access not in "=~*" for access, _ in effects):
        raise ValueError("bad implicit register")
    pairs: list[tuple[Key, Form]] = []
    for token in tokens:
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise ValueError(f"bad encoding {token}")
        vex, prefix, opmap, opcode, tail = match.groups()
        attributes = frozenset(tail.split(":")[1:])
        if not all(_ATTRIBUTE.fullmatch(item) for item in attributes):
            raise ValueError(f"bad attribute in {token}")
        extensions = [int(item[1]) for item in attributes if item[0] == "/"]
        rms = [int(item[2]) for item in attributes if item[:2] == "rm"]
        form = Form(
            names=tuple(name.split("|")),
            ops="" if ops == "." else ops,
            size=size,
            mem=mem,
            keeps_flags=flags == "k",
            implied=effects,
            attributes=attributes,
            modrm="r" in attributes or bool(extensions),
            extension=extensions[0] if extensions else -1,
            features=_features(short),
            long_features=_features(long or short),
            fp="!fp" in rest,
            # Their exceptions are masked, or recorded, in the vector state.
            vector=bool({"!vec", "!x87", "!fp"} & set(rest)),
            x87="!x87" in rest,
            lengths=frozenset(n for n in range(3) if f"l{n}" in attributes),
            broadcast=sum(n for n in (2, 4, 8) if f"bc{n}" in attributes),
            rm=rms[0] if rms else -1,
        )
        for low in range(8 if "+" in attributes and opcode not in _SINGLE else 1):
            number = int(opcode, 16) + low
            key = (_FAMILY[vex], _PREFIX[prefix or "np"], _MAPS[opmap or ""], number)
            pairs.append((key, form))
    return pairs


def _features(text: str) -> frozenset[str]:
    return frozenset(text.split("+")) if text else frozenset()


# "+" opcodes that are listed one by one: xchg, because the first one is nop.
_SINGLE = frozenset(f"{0x90 + low:02X}" for low in range(8))
