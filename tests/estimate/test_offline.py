# SPDX-License-Identifier: GPL-2.0-only
"""Ways through small programs, translated by the engine's own builder."""

from __future__ import annotations

import pytest

from tests.region.asm import program
from ubypass.cost.gap import profile
from ubypass.cost.model import models
from ubypass.estimate.offline import Kind, Looked, Offline, Verdict
from ubypass.estimate.steps import End, Way
from ubypass.region.decode import Decoded
from ubypass.region.reader import BytesReader

_GETPID = 39
_MODEL = models()["zen4"]
_LOOP = """
    first: mov eax, 39
    site: syscall
    start: add rbx, rax
    {0}
    jmp first
"""


def _way(text: str, *, end: End = End.CALL) -> tuple[BytesReader, Way]:
    """One turn of the loop."""
    reader, at = program(text)
    names = ("start", *(n for n in at if n.startswith("step")), "back", "first", "site")
    ips = tuple(at[name] for name in names)
    return reader, Way(at["start"], _GETPID, ips, end)


def _turn(inside: str) -> tuple[BytesReader, Way]:
    text = _LOOP.replace("{0}", f"step: {inside}").replace(
        "jmp first", "back: jmp first"
    )
    return _way(text)


def _only(found: dict[Kind, Looked], way: Way) -> Looked:
    kind = Kind(way.resume, way.nr, way.following)
    assert list(found) == [kind]
    return found[kind]


def test_a_gap_that_is_translated() -> None:
    reader, way = _turn("mov rdx, [rdi]")
    seen = _only(Offline(reader, _MODEL).look([way, way]), way)
    assert seen.verdict is Verdict.TRANSLATED
    assert (seen.ways, seen.instructions) == (2, len(way.ips) - 1)
    assert seen.growth is not None
    assert 1 <= seen.growth < 4
    assert seen.saving.low < seen.saving.likely < seen.saving.high
    expected = _MODEL.saving(profile(way.ips, Decoded(reader)))
    assert seen.saving.likely == pytest.approx(expected.likely)


def test_an_instruction_that_is_not_allowed() -> None:
    reader, way = _turn("in al, dx")
    seen = _only(Offline(reader, _MODEL).look([way]), way)
    assert seen.verdict is Verdict.ODD
    assert "in al,dx" in seen.why
    assert seen.growth is None


def test_a_gap_that_was_left_half_way() -> None:
    reader, way = _turn("mov rdx, [rdi]")
    half = Way(way.resume, way.nr, way.ips[:2], End.LONG)
    seen = _only(Offline(reader, _MODEL).look([half]), half)
    assert seen.verdict is Verdict.LONG
    odd = Way(way.resume, way.nr, way.ips[:2], End.ODD)
    seen = _only(Offline(reader, _MODEL).look([odd]), odd)
    assert seen.verdict is Verdict.ODD
    assert "mov rdx,[rdi]" in seen.why


def test_signals_and_lack_of_time_say_nothing() -> None:
    reader, way = _turn("mov rdx, [rdi]")
    ways = [Way(way.resume, way.nr, way.ips[:2], end) for end in (End.SIGNAL, End.LATE)]
    assert Offline(reader, _MODEL).look(ways) == {}
    assert Offline(reader, _MODEL).look([]) == {}


def test_a_gap_with_too_much_code() -> None:
    nops = "\n".join(f"step{n}: nop" for n in range(1300))
    text = _LOOP.replace("{0}", nops).replace("jmp first", "back: jmp first")
    reader, way = _way(text)
    seen = _only(Offline(reader, _MODEL).look([way]), way)
    assert seen.verdict is Verdict.LONG
    assert "1,30" in seen.why


def test_code_that_is_gone() -> None:
    _, way = _turn("mov rdx, [rdi]")
    seen = _only(Offline(BytesReader({}), _MODEL).look([way]), way)
    assert seen.verdict is Verdict.ODD
    assert "no code" in seen.why
