# SPDX-License-Identifier: GPL-2.0-only
"""A few instructions between two system calls, native and translated, compared."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from dataclasses import replace

from tests.translate.assemble import assemble
from tests.translate.machine import (
    NAMES,
    Native,
    Outcome,
    Translated,
    User,
    differences,
)
from ubypass.abi import Abi, Translation
from ubypass.region.discover import HotEntry, Limits, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.translate import translate
from ubypass.verify.check import check

TEXT, DATA = 0x7F00_1234_5000, 0x7F00_2000_0000
DATA_SIZE = 0x2000
#: Where the same data is as well if registers are known to hold no addresses: sums with
#: small numbers come to it.
LOW_DATA = 0x2000_0000
#: Where rsp points.
STACK = DATA + 0x1800
CONTENT = random.Random(7).randbytes(DATA_SIZE)
_ABI = Abi(dispatch_size=16, dispatch_vector_size=24)


@functools.lru_cache(maxsize=16)
def _built(
    source: str, nonpointers: tuple[tuple[str, str], ...] = (), trusted: bool = False
) -> tuple[bytes, int, Translation]:
    text = f"first: mov eax, 39\nsyscall\nstart:\n{source}\njmp first"
    code, labels = assemble(text, TEXT)
    known = {
        labels[at]: sum(1 << NAMES.index(name) for name in names.split())
        for at, names in nonpointers
    }
    spec = RegionSpec((HotEntry(labels["start"], 39),), nonpointers=known)
    region = discover(spec, BytesReader({TEXT: code}), Limits(reach=4000))
    abi = replace(_ABI, trusted=trusted)
    translation = translate(region, abi)
    check(translation, abi)
    return code, labels["start"], translation


def both(
    source: str,
    flags: int = 0,
    calls: int = 1,
    live: int | None = None,
    nonpointers: Mapping[str, str] | None = None,
    trusted: bool = False,
    **regs: int,
) -> Outcome:
    """Where the translation of ``source`` left, up to the ``calls``-th next system
    call.

    The code may jump to ``first``, a system call, and does so at its end. Fails if the
    verifier refuses, or if the native run would not be in the same state there.
    ``regs`` not given are 0, rsp is STACK; ``live``: flags that must be right, if not
    all. ``nonpointers``: by label the registers known to hold no user address there.
    ``trusted``: as a trusted program.
    """
    code, start, translation = _built(
        source, tuple((nonpointers or {}).items()), trusted
    )
    given = dict.fromkeys(NAMES, 0) | {"rsp": STACK} | regs
    memory = {TEXT: code + bytes(-len(code) % 4096), DATA: CONTENT}
    if nonpointers is not None:
        memory[LOW_DATA] = CONTENT
    user = User(memory, given, start, flags, code=frozenset({TEXT}))
    machine = Translated(translation, user, _ABI)
    outcome = machine.run(start, calls - 1, leave="before")
    native = Native(user, _ABI)
    assert differences(outcome, native, live) == []
    return outcome
