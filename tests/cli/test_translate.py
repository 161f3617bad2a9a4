# SPDX-License-Identifier: GPL-2.0-only
"""``ub translate``: works on files alone and says what is wrong with them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Ub = Callable[..., int]

_SOURCE = """\
.data
value: .quad 1
.text
.globl loop
.type loop, @function
loop:
1: mov $39, %eax
syscall
add %rax, value(%rip)
dec %rbx
jne 1b
hlt
.size loop, .-loop
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    folder = tmp_path_factory.mktemp("translate")
    source = folder / "loop.s"
    source.write_text(_SOURCE)
    subprocess.run(
        ["gcc", "-nostdlib", "-shared", "-o", folder / "loop.so", source], check=True
    )
    return folder / "loop.so"


@pytest.mark.parametrize("place", ["loop", "loop+7", "loop+0x0"])
def test_a_symbol_names_the_place(
    ub: Ub, program: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    assert ub("translate", program, place) == 0
    out = capsys.readouterr().out
    assert "verified: yes" in out
    assert "calls dispatched: 39" in out
    assert "dispatch of call 39" in out


def test_for_a_trusted_program(
    ub: Ub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    source, library = tmp_path / "chain.s", tmp_path / "chain.so"
    source.write_text(_SOURCE.replace("dec %rbx", "mov (%rbx), %rbx\ntest %rbx, %rbx"))
    subprocess.run(["gcc", "-nostdlib", "-shared", "-o", library, source], check=True)
    assert ub("translate", "--json", library, "loop+7") == 0
    plain = json.loads(capsys.readouterr().out)
    assert ub("translate", "--json", "--trust", library, "loop+7") == 0
    trusted = json.loads(capsys.readouterr().out)
    assert plain["verified"]
    assert trusted["verified"]
    assert (plain["trusted"], trusted["trusted"]) == (False, True)
    moves = [
        sum("cmovae" in line["code"] for line in data["lines"])
        for data in (plain, trusted)
    ]
    assert moves[0] > 0
    assert moves[1] == 0
    assert ub("translate", "--trust", library, "loop+7") == 0
    assert "verified: yes, as of a trusted program" in capsys.readouterr().out


def test_for_machines(
    ub: Ub, program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("translate", "--json", program, "loop+7") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["verified"] is True
    assert [call["nr"] for call in data["dispatches"]] == [39]
    assert len(bytes.fromhex(data["code"])) == data["code_bytes"]
    assert any(line["symbol"] == "loop+0x7" for line in data["lines"])


def test_an_address_in_hex(
    ub: Ub, program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ubypass.process.elf import open_elf

    address = open_elf(str(program)).address_of("loop")
    assert address is not None
    assert ub("translate", program, hex(address + 7)) == 0


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("nothing", "no function 'nothing'"),
        ("loop+x", "not a number"),
        ("0xdead0000", "not in the file"),
        ("0", "data"),
    ],
)
def test_places_that_are_no_code(
    ub: Ub, program: Path, capsys: pytest.CaptureFixture[str], place: str, text: str
) -> None:
    assert ub("translate", program, place) == (2 if place == "loop+x" else 1)
    err = capsys.readouterr().err
    assert text in err
    assert "Traceback" not in err


def test_files_that_are_no_programs(
    ub: Ub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("these are notes, and not a program at all")
    assert ub("translate", text, "0x0") == 1
    assert "not an ELF file" in capsys.readouterr().err
    head = b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x02\x00\x03\x00" + bytes(64)
    (tmp_path / "old").write_bytes(head)
    assert ub("translate", tmp_path / "old", "0x0") == 1
    assert "32-bit" in capsys.readouterr().err
    assert ub("translate", tmp_path / "missing", "0x0") == 1
    assert ub("translate", tmp_path, "0x0") == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_reach_must_be_positive(ub: Ub, program: Path) -> None:
    assert ub("translate", "--reach", "0", program, "loop") == 2


def test_a_refusal_of_the_verifier_is_a_failure(
    ub: Ub,
    program: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from ubypass.verify import check
    from ubypass.verify.errors import Rule, VerifyError

    def refuse(*anything: object) -> None:
        raise VerifyError(Rule.ENCODING, "no")

    monkeypatch.setattr(check, "check", refuse)
    assert ub("translate", program, "loop") == 1
    assert "verified: NO" in capsys.readouterr().out
