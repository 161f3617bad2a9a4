# SPDX-License-Identifier: GPL-2.0-only
"""What the module writes in the place of a system call, on different processors."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from iced_x86 import Decoder, Instruction, Mnemonic, OpKind, Register

from ubypass.bench.chains.programs import module_sources

_HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module's own dispatch.c with a program around it."""
    folder = tmp_path_factory.mktemp("dispatch")
    for name, content in module_sources().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    source = _HERE / "dispatch_user.c"
    command = ["gcc", "-O2", "-Wall", "-no-pie", "-fno-pie", "-fno-builtin", "-I."]
    command += ["-o", "program", str(source), "dispatch.c"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "program"


@pytest.fixture(scope="module")
def symbols(program: Path) -> dict[str, int]:
    done = subprocess.run(["nm", program], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return {row[2]: int(row[0], 16) for row in rows if len(row) == 3}


def _dispatch(
    program: Path, symbols: dict[str, int], features: str, vector: int
) -> list[Instruction]:
    command = [program, features, str(vector)]
    code = subprocess.run(command, capture_output=True, check=True).stdout
    found = list(Decoder(64, code, ip=symbols["ub_arena"]))
    assert all(insn.mnemonic != Mnemonic.INVALID for insn in found)
    return found


def _calls(found: list[Instruction]) -> list[int]:
    return [i.near_branch_target for i in found if i.mnemonic == Mnemonic.CALL]


@pytest.mark.parametrize("vector", [0, 1])
def test_buffers_are_cleared_right_before_user_code(
    program: Path, symbols: dict[str, int], vector: int
) -> None:
    found = _dispatch(program, symbols, "b", vector)
    # All that touches the kernel's memory comes before it.
    (verw,) = [insn for insn in found if insn.mnemonic == Mnemonic.VERW]
    assert found[-1].ip == verw.ip
    # From a register it clears nothing.
    assert verw.op0_kind == OpKind.MEMORY
    assert verw.memory_base == Register.RIP
    assert verw.ip_rel_memory_address == symbols["ub_verw_selector"]
    # Nothing else has changed.
    plain = _dispatch(program, symbols, "", vector)
    assert len(plain) == len(found) - 1
    assert [i.code for i in plain] == [i.code for i in found[:-1]]


@pytest.mark.parametrize("vector", [0, 1])
def test_history_is_cleared_right_before_the_handler(
    program: Path, symbols: dict[str, int], vector: int
) -> None:
    handler, history = symbols["ub_user_handler"], symbols["ub_clear_history"]
    calls = _calls(_dispatch(program, symbols, "h", vector))
    assert calls[calls.index(handler) - 1] == history
    assert history not in _calls(_dispatch(program, symbols, "", vector))


@pytest.mark.parametrize("vector", [0, 1])
def test_task_work_is_run_after_the_handler(
    program: Path, symbols: dict[str, int], vector: int
) -> None:
    found = _dispatch(program, symbols, "", vector)
    handler, work = symbols["ub_user_handler"], symbols["ub_task_work_dispatched"]
    calls = _calls(found)
    assert calls.index(work) == calls.index(handler) + 1
    # Without work all of this is skipped.
    at = next(
        n
        for n, i in enumerate(found)
        if i.mnemonic == Mnemonic.CALL and i.near_branch_target == work
    )
    skip = next(i for i in reversed(found[:at]) if i.mnemonic == Mnemonic.JE)
    leave = next(n for n in range(at, len(found)) if found[n].mnemonic == Mnemonic.JE)
    assert found[leave].near_branch_target == symbols["ub_arena"] + 3072
    assert skip.near_branch_target == found[leave + 1].ip
    # The argument says whether softirqs are off; the result is kept.
    argument = found[at - 1]
    assert (argument.op0_register, argument.immediate(1)) == (Register.EDI, vector)
    store, load = found[at - 2], found[leave - 1]
    assert store.op1_register == load.op0_register == Register.RAX
    assert store.memory_base == load.memory_base == Register.RSP
    assert store.memory_displacement == load.memory_displacement
