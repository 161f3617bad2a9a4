# SPDX-License-Identifier: GPL-2.0-only
"""Make a failure small and keep it, as a golden case that the tests run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from iced_x86 import Encoder, FlowControl, Formatter, FormatterSyntax, Instruction

from tests.fuzz.subject import Subject
from tests.fuzz.units import Unit, wrong_with
from ubypass.native.case import arrange
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader

__all__ = ["FILE", "save", "straight"]

#: Where failures go; test_golden.py shows them, test_found.py runs them.
FILE = Path(__file__).parent.parent / "translate" / "golden" / "found.txt"

_NR = 39
_SYSCALL = b"\x0f\x05"
_FORMATTER = Formatter(FormatterSyntax.INTEL)


def straight(
    instructions: list[Instruction], text: int, more: Subject | None = None
) -> Subject:
    """A subject of straight code that ends in a system call."""
    code = b""
    for instruction in instructions:
        encoder = Encoder(64)
        encoder.encode(instruction, text + len(code))
        code += encoder.take_buffer()
    code += _SYSCALL
    spec = RegionSpec((HotEntry(text, _NR), HotEntry(text + len(code), _NR)))
    region = discover(spec, BytesReader({text: code}))
    return Subject(
        name="straight",
        code={text: code},
        region=region,
        layout=arrange(text) if more is None else more.layout,
        more_areas=() if more is None else more.more_areas,
        ignore=frozenset() if more is None else more.ignore,
        first_only=True,
    )


def shrink(subject: Subject, unit: Unit) -> Subject:
    """A smaller subject that fails as well, if one is easily found."""
    unit = replace(unit, states=max(unit.states, 400))
    kept = [i for i in subject.instructions() if i.flow_control == FlowControl.NEXT]
    text = min(subject.code)
    best = _failing(kept, text, subject, unit)
    if best is None:
        return subject
    position = 0
    while position < len(kept):
        fewer = kept[:position] + kept[position + 1 :]
        smaller = _failing(fewer, text, subject, unit)
        if smaller is None:
            position += 1
        else:
            best, kept = smaller, fewer
    return best


def _failing(
    instructions: list[Instruction], text: int, subject: Subject, unit: Unit
) -> Subject | None:
    try:
        found = straight(instructions, text, subject)
    except ValueError:
        return None
    return found if wrong_with(found, unit) else None


def save(subject: Subject, unit: Unit, why: str, file: Path = FILE) -> str:
    """Append the subject to the file as a case without a listing; its name."""
    small = shrink(subject, unit)
    name = re.sub(r"\W+", "_", f"{unit.kind}_{Path(unit.name).name}_{unit.number}")
    start = min(small.code)
    code = small.code[start]
    lines = [f"-------- {name}", f"# {why}"[:400].replace("\n", " ")]
    lines += ["# trusted"] * unit.trusted + ["# fred"] * unit.fred
    lines.append("start:")
    at = start
    for instruction in small.instructions():
        if at != instruction.ip:
            continue
        data = code[at - start : at - start + instruction.len]
        text = ", ".join(f"{byte:#04x}" for byte in data)
        lines.append(f".byte {text} # {_FORMATTER.format(instruction)}")
        at += instruction.len
    rest = code[at - start :]
    if rest:
        lines.append(".byte " + ", ".join(f"{byte:#04x}" for byte in rest))
    with file.open("a") as out:
        out.write("\n".join(lines) + "\n========\n")
    return name
