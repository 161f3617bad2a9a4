# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from tests.translate.assemble import assemble
from tests.translate.machine import NAMES, Outcome, Translated, User
from ubypass.abi import Abi, ExitReason
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.translate import translate

TEXT, DATA = 0x7F00_1234_5000, 0x7F00_2000_0000
_ABI = Abi(dispatch_size=16, dispatch_vector_size=24)
_CONTENT = bytes(range(256)) * 16


def _run(text: str, **regs: int) -> tuple[Outcome, dict[str, int]]:
    prefix, _, last = text.rpartition("\n")
    source = f"first: mov eax, 39\nsyscall\nstart: {prefix}\nat: {last}\njmp first"
    code, labels = assemble(source, TEXT)
    spec = RegionSpec((HotEntry(labels["start"], 39),))
    translation = translate(discover(spec, BytesReader({TEXT: code})), _ABI)
    given = dict.fromkeys(NAMES, 0) | {"rsp": DATA + 0x800, "rax": 0x1122334455667788}
    memory = {TEXT: code + bytes(-len(code) % 4096), DATA: _CONTENT}
    user = User(memory, given | regs, labels["start"])
    machine = Translated(translation, user, _ABI)
    return machine.run(labels["start"], 0, leave="before"), labels


@pytest.mark.parametrize(
    ("size", "letter"), [(1, "b"), (4, "d"), (8, "q")], ids=["b", "d", "q"]
)
def test_fill(size: int, letter: str) -> None:
    done, _ = _run(f"mov ecx, 3\nrep stos{letter}", rdi=DATA + 5)
    assert done.exit.reason == ExitReason.WORK
    assert (done.regs["rdi"], done.regs["rcx"]) == (DATA + 5 + 3 * size, 0)
    value = (0x1122334455667788).to_bytes(8, "little")[:size]
    expected = _CONTENT[:5] + 3 * value + _CONTENT[5 + 3 * size :]
    assert done.memory[DATA] == expected


def test_overlapping_copy_goes_element_by_element() -> None:
    done, _ = _run("mov ecx, 4\nrep movsb", rsi=DATA, rdi=DATA + 1)
    assert done.memory[DATA][:6] == b"\0\0\0\0\0\5"
    assert (done.regs["rsi"], done.regs["rdi"]) == (DATA + 4, DATA + 5)


def test_fault_in_the_middle() -> None:
    done, at = _run("mov ecx, 5\nrep stosq", rdi=DATA + 4096 - 16)
    assert (done.exit.reason, done.exit.user_ip) == (ExitReason.FAULT, at["at"])
    # Two elements are written, three are left.
    assert (done.regs["rdi"], done.regs["rcx"]) == (DATA + 4096, 3)
    done, _ = _run("mov ecx, 5\nrep movsq", rsi=DATA + 4096 - 8, rdi=DATA)
    assert done.regs["rcx"] == 4
    assert (done.regs["rsi"], done.regs["rdi"]) == (DATA + 4096, DATA + 8)


def test_once_without_a_prefix() -> None:
    done, _ = _run("mov ecx, 5\nstosd", rdi=DATA)
    assert (done.regs["rdi"], done.regs["rcx"]) == (DATA + 4, 5)


@pytest.mark.parametrize(
    "text",
    [
        "mov ecx, 33\nrep stosq",
        "mov ecx, 0\nrep stosq",
        "mov rcx, rdx\nrep stosq",
        "mov ecx, 3\ninc ecx\nrep stosq",
        "mov ecx, 3\nrep stosw",
        "mov ecx, 3\nrep movsq qword ptr [rdi], fs:[rsi]",
        "mov ecx, 3\naddr32 rep stosq",
    ],
)
def test_left_to_user_mode(text: str) -> None:
    done, at = _run(text, rdi=DATA, rsi=DATA)
    assert (done.exit.reason, done.exit.user_ip) == (ExitReason.UNSUPPORTED, at["at"])
    assert done.writes == []
