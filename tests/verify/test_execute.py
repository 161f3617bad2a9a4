# SPDX-License-Identifier: GPL-2.0-only
"""Every line of the allow-list on this machine's processor.

What the verifier accepts must be an instruction, with whatever prefixes, registers
and addresses; and what it takes for code without vector state must leave that state
alone. What this processor lacks is skipped by name.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.verify.encoder import encodings
from ubypass.native.single import execute
from ubypass.processor import features
from ubypass.verify.allowlist import Form, Key, allowed
from ubypass.verify.decode import Decoder
from ubypass.verify.errors import Refusal
from ubypass.verify.insn import Insn, Kind
from ubypass.verify.prefixes import LEGACY

_LINES = [(key, form) for key, forms in allowed().items() for form in forms]
_DECODER = Decoder()
_HERE = features()
# Each of them, none, and pairs: no instruction has more.
_PREFIXES = (b"\x64", b"\x66", b"\xf0", b"\xf2", b"\xf3", b"\x48")
_STACKED = [
    b"".join(chosen)
    for count in range(3)
    for chosen in itertools.permutations(_PREFIXES, count)
]
#: Random changes of each encoding: registers, addresses, bits of REX, VEX and EVEX.
_CHANGES = 24
#: Encodings that were not run, by the features that they need.
_lacking: Counter[str] = Counter()
_executed: Counter[str] = Counter()


def _label(line: tuple[Key, Form]) -> str:
    (family, prefix, opmap, opcode), form = line
    return f"{form.names[0]}-{'_ve'[family]}{prefix:x}.{opmap}.{opcode:02x}"


def _variants(key: Key, form: Form) -> Iterator[bytes]:
    rng = random.Random(repr(key) + form.names[0])
    for _, raw in encodings(key, form):
        yield raw
        if key[0] == LEGACY:
            yield from (stacked + raw for stacked in _STACKED)
        else:
            yield b"\x64" + raw
        for _ in range(_CHANGES):
            changed = bytearray(raw)
            for _ in range(rng.randint(1, 3)):
                at = rng.randrange(min(len(raw), 7))
                changed[at] ^= 1 << rng.randrange(8)
            # Room for a SIB byte and a displacement.
            yield bytes(changed) + bytes(8)


def _accepted(key: Key, form: Form) -> dict[bytes, Insn]:
    found: dict[bytes, Insn] = {}
    for raw in _variants(key, form):
        try:
            insn, _ = _DECODER.decode(raw, 0, len(raw))
        except Refusal:
            continue
        code = raw[: insn.length]
        if insn.kind in (Kind.JMP, Kind.BRANCH):
            # To what follows.
            size = 1 if len(code) < 5 else 4
            code = code[:-size] + bytes(size)
        found[code] = insn
    return found


@pytest.mark.parametrize("line", _LINES, ids=_label)
def test_is_an_instruction(line: tuple[Key, Form]) -> None:
    accepted = _accepted(*line)
    here = {raw: insn for raw, insn in accepted.items() if insn.features <= _HERE}
    for raw, insn in accepted.items():
        if raw not in here:
            _lacking[" and ".join(sorted(insn.features - _HERE))] += 1
    for (raw, insn), found in zip(here.items(), execute(list(here)), strict=True):
        assert found.exists, f"{raw.hex()} is no instruction"
        assert insn.vector or not found.vector, f"{raw.hex()} changes vector state"
        _executed["to the end" if not found.signal else "up to a fault"] += 1
    if accepted and not here:
        needed = frozenset[str]().union(*(i.features for i in accepted.values()))
        pytest.skip(f"this processor lacks {', '.join(sorted(needed - _HERE))}")


def test_what_was_not_run() -> None:
    """Last, so that the summary has it."""
    # Alone it has nothing to say.
    assert not _executed or _executed["to the end"] > _executed["up to a fault"]
    if _lacking:
        missing = (f"{count} that need {name}" for name, count in _lacking.items())
        pytest.skip(f"encodings that this processor lacks: {', '.join(missing)}")
