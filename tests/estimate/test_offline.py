# SPDX-License-Identifier: GPL-2.0-only
"""Ways through small programs, translated by the engine's own builder."""

from __future__ import annotations

import pytest

from tests.region.asm import program
from ubypass.cost.gap import profile_gap
from ubypass.cost.model import models
from ubypass.estimate.offline import Kind, Looked, Offline, Verdict
from ubypass.estimate.steps import End, SteppedPath
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


def _path(text: str, *, end: End = End.CALL) -> tuple[BytesReader, SteppedPath]:
    """One turn of the loop."""
    reader, at = program(text)
    names = ("start", *(n for n in at if n.startswith("step")), "back", "first", "site")
    ips = tuple(at[name] for name in names)
    return reader, SteppedPath(at["start"], _GETPID, ips, end)


def _turn(inside: str) -> tuple[BytesReader, SteppedPath]:
    text = _LOOP.replace("{0}", f"step: {inside}").replace(
        "jmp first", "back: jmp first"
    )
    return _path(text)


def _only(found: dict[Kind, Looked], path: SteppedPath) -> Looked:
    kind = Kind(path.resume, path.nr, path.following)
    assert list(found) == [kind]
    return found[kind]


def test_a_gap_that_is_translated() -> None:
    reader, path = _turn("mov rdx, [rdi]")
    seen = _only(Offline(reader, _MODEL).look([path, path]), path)
    assert seen.verdict is Verdict.TRANSLATED
    assert (seen.paths, seen.instructions) == (2, len(path.ips) - 1)
    assert seen.growth is not None
    assert 1 <= seen.growth < 4
    assert seen.saving.low < seen.saving.likely < seen.saving.high
    expected = _MODEL.saving(profile_gap(path.ips, Decoded(reader)))
    assert seen.saving.likely == pytest.approx(expected.likely)


def test_an_instruction_that_is_not_allowed() -> None:
    reader, path = _turn("in al, dx")
    seen = _only(Offline(reader, _MODEL).look([path]), path)
    assert seen.verdict is Verdict.UNTRANSLATABLE
    assert "in al,dx" in seen.why
    assert seen.growth is None


def test_a_gap_that_was_left_half_way() -> None:
    reader, path = _turn("mov rdx, [rdi]")
    half = SteppedPath(path.resume, path.nr, path.ips[:2], End.LONG)
    seen = _only(Offline(reader, _MODEL).look([half]), half)
    assert seen.verdict is Verdict.LONG
    odd = SteppedPath(path.resume, path.nr, path.ips[:2], End.UNSTEPPABLE)
    seen = _only(Offline(reader, _MODEL).look([odd]), odd)
    assert seen.verdict is Verdict.UNTRANSLATABLE
    assert "mov rdx,[rdi]" in seen.why


def test_signals_and_lack_of_time_say_nothing() -> None:
    reader, path = _turn("mov rdx, [rdi]")
    paths = [
        SteppedPath(path.resume, path.nr, path.ips[:2], end)
        for end in (End.SIGNAL, End.LATE)
    ]
    assert Offline(reader, _MODEL).look(paths) == {}
    assert Offline(reader, _MODEL).look([]) == {}


def test_a_gap_with_too_much_code() -> None:
    nops = "\n".join(f"step{n}: nop" for n in range(4100))
    text = _LOOP.replace("{0}", nops).replace("jmp first", "back: jmp first")
    reader, path = _path(text)
    seen = _only(Offline(reader, _MODEL).look([path]), path)
    assert seen.verdict is Verdict.LONG
    assert "4,10" in seen.why


def test_code_that_is_gone() -> None:
    _, path = _turn("mov rdx, [rdi]")
    seen = _only(Offline(BytesReader({}), _MODEL).look([path]), path)
    assert seen.verdict is Verdict.UNTRANSLATABLE
    assert "no unmodifiable code" in seen.why
