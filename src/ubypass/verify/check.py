# SPDX-License-Identifier: GPL-2.0-only
"""Verifies a translation: the one thing to call before loading it.

Generated code runs in the kernel, so it is read again by code that shares
nothing with what made it. Verified is what cannot reach memory outside user
space and its own frame, leaves only by an exit, comes back in bounded time and
shows no kernel data. Whether it also does what the user's code would have done
is not the subject here.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ubypass.abi import Abi, ExitFlag, Translation
from ubypass.verify import budget, flow, graph
from ubypass.verify.errors import Rule, VerifyError
from ubypass.verify.insn import Access, Kind
from ubypass.verify.load import load
from ubypass.verify.number import check_numbers

__all__ = ["Report", "Rule", "VerifyError", "check", "processor_features"]

_USER: Final = ("clamped", "literal", "string", "thread")
_TARGET: Final = int(ExitFlag.TARGET)
_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Report:
    """What was verified.

    ``instructions`` without padding; ``accesses`` to user memory that can be reached;
    ``proven``:
    how many memory operands by which argument (frame, constant, thread, clamped,
    literal); ``blocks`` that can be reached of ``blocks_total``; ``cycles`` in
    the graph; ``features`` of the processor that the code needs; ``vector``:
    whether it uses vector registers.
    """

    instructions: int
    accesses: int
    proven: Mapping[str, int]
    blocks: int
    blocks_total: int
    cycles: int
    features: frozenset[str]
    vector: bool


def check(
    translation: Translation, abi: Abi, features: frozenset[str] | None = None
) -> Report:
    """Proves that ``translation`` is safe to load into a module with this ABI.

    ``features`` are processor features by the kernel's names; by default those
    of this machine: an instruction that the processor does not have would fault
    in the kernel. Raises VerifyError naming the first broken rule.
    """
    loaded = load(translation, abi)
    needed = frozenset[str]().union(*(form.features for form in loaded.forms))
    present = processor_features() if features is None else features
    if not needed <= present:
        missing = ", ".join(sorted(needed - present))
        raise VerifyError(Rule.ENCODING, f"this processor does not have {missing}")
    blocks = graph.split(loaded)
    entries = [blocks.number[at] for at in loaded.entries]
    place, cycles = graph.survey(blocks, entries)
    budget.check_cycles(loaded, blocks)
    targeted = {
        number
        for number, record in enumerate(translation.exits)
        if int(record.flags) & _TARGET
    }
    analysis = flow.Flow(loaded, blocks, place, targeted)
    reached = analysis.run()
    check_numbers(loaded, translation)
    insns = loaded.insns
    walked = dict.fromkeys(loaded.forms, 0)
    for block in reached:
        for at in range(blocks.starts[block], blocks.ends[block]):
            walked[insns[at]] += 1
    counts = [0] * len(Access)
    for insn, count in walked.items():
        counts[insn.access] += count
    proven = {access.name.lower(): counts[access] for access in Access if access}
    literal = len(analysis.literal)
    proven["literal"], proven["clamped"] = literal, proven.pop("user") - literal
    return Report(
        instructions=len(insns) - len(loaded.kinds[Kind.TRAP]),
        accesses=sum(proven[name] for name in _USER),
        proven={name: count for name, count in sorted(proven.items()) if count},
        blocks=len(reached),
        blocks_total=len(blocks.starts),
        cycles=cycles,
        features=needed,
        vector=any(form.vector for form in loaded.forms),
    )


@functools.cache
def processor_features() -> frozenset[str]:
    """What the kernel says this machine's processor can do.

    Empty where the kernel does not tell: then only the baseline is allowed.
    """
    try:
        text = _CPUINFO.read_text("ascii", "replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return frozenset(value.split())
    return frozenset()
