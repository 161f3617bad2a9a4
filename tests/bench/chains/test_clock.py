# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
from pathlib import Path

import pytest
from iced_x86 import Decoder

from tests.bench.chains.samples import made_up
from ubypass.bench.chains.clock import TIMES_AT, clock_of
from ubypass.bench.chains.snapshot import Answer, Area
from ubypass.errors import UbError
from ubypass.process.elf import parse_elf
from ubypass.process.memory import ProcessMemory


@pytest.fixture
def vdso(tmp_path: Path) -> tuple[Area, dict[str, int]]:
    with ProcessMemory(os.getpid()) as memory:
        found = next(area for area in memory.maps.areas if area.path == "[vdso]")
        image = memory.read(found.start, found.end - found.start)
    (tmp_path / "memory").write_bytes(image)
    names = {n: a + found.start for n, a, _ in parse_elf(image, "vDSO").functions()}
    return Area(found.start, found.end, False, True, 0, "[vdso]"), names


def test_gives_the_answers_one_after_the_other(
    tmp_path: Path, vdso: tuple[Area, dict[str, int]]
) -> None:
    area, names = vdso
    entry = names["__vdso_clock_gettime"]
    answers = tuple(Answer(entry, 0, 1, (0, 0), 0x5000, (n, n + 1)) for n in (10, 20))
    clock = clock_of(made_up(tmp_path, (area,), answers))
    words = [
        int.from_bytes(clock.times[i : i + 8], "little")
        for i in range(0, len(clock.times), 8)
    ]
    assert words == [0, 10, 11, 0, 20, 21]
    first, *rest = clock.paths[entry]
    assert first == entry
    jump = next(iter(Decoder(64, clock.patches[entry], ip=entry)))
    assert jump.near_branch_target == rest[0]
    code = list(Decoder(64, clock.patches[rest[0]], ip=rest[0]))
    assert [i.ip for i in code] == rest
    assert area.start <= rest[0]
    assert rest[-1] < area.end
    text = [str(i) for i in code]
    assert f"mov r8,{TIMES_AT:X}h" in text
    assert text[1] == "rdtsc"
    assert text[-3:] == ["mov [rsi],rdx", "mov [rsi+8],r9", "ret"]


def test_each_function_in_its_way(
    tmp_path: Path, vdso: tuple[Area, dict[str, int]]
) -> None:
    area, names = vdso
    answers = (
        Answer(names["__vdso_gettimeofday"], 0, 0x5000, (1, 2), 0, (0, 0)),
        Answer(names["__vdso_time"], 77, 0, (0, 0), 0, (0, 0)),
    )
    clock = clock_of(made_up(tmp_path, (area,), answers))
    ends = []
    for answer in answers:
        at = clock.paths[answer.entry][1]
        ends.append([str(i) for i in Decoder(64, clock.patches[at], ip=at)][-3:])
    assert ends[0] == ["mov [rdi],rdx", "mov [rdi+8],r9", "ret"]
    assert ends[1][-1] == "ret"
    assert "[rdi]" not in "".join(ends[1])


def test_what_it_does_not_know_it_refuses(
    tmp_path: Path, vdso: tuple[Area, dict[str, int]]
) -> None:
    area, names = vdso
    answer = Answer(names["__vdso_getcpu"], 0, 0x5000, (1, 2), 0, (0, 0))
    with pytest.raises(UbError, match="calls getcpu of the vDSO"):
        clock_of(made_up(tmp_path, (area,), (answer,)))


def test_a_chain_without_times() -> None:
    clock = clock_of(made_up())
    assert not clock.patches
    assert not clock.times
