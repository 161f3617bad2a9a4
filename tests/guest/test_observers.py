# SPDX-License-Identifier: GPL-2.0-only
"""What others see of a boosted process makes sense."""

from __future__ import annotations

import re

import pytest

from tests.guest.conftest import Guest
from tests.guest.observers import FILES

pytestmark = pytest.mark.guest

_USER = 1 << 47
_GETPPID, _READ = 110, 0
#: A frame of a kernel stack: a function, perhaps of a module, or a bare address.
_FRAME = re.compile(r"\[<0>\] (\S+\+0x[0-9a-f]+/0x[0-9a-f]+( \[\w+\])?|0x[0-9a-f]+)")


def _fields(stat: str) -> list[str]:
    return stat.rpartition(")")[2].split()


@pytest.mark.guest("proc")
@pytest.mark.parametrize("how", ["native", "boosted"])
def test_the_files_of_a_running_process(guest: Guest, how: str) -> None:
    result = guest.result("proc")
    assert result["grown"]
    looks = result["running"][how]
    used = []
    for look in looks:
        assert set(look) == set(FILES)
        state, *rest = _fields(look["stat"])
        assert state in "RS", look
        assert re.search(r"^State:\s+[RS] ", look["status"], re.M), look
        user, system = int(rest[10]), int(rest[11])
        used.append(user + system)
        assert look["wchan"] == "0", look
        for line in look["stack"].splitlines():
            assert _FRAME.fullmatch(line), line
        if look["syscall"] != "running":
            number, *words = look["syscall"].split()
            assert int(number) in (-1, _GETPPID), look
            sp, ip = (int(word, 16) for word in words[-2:])
            assert 0 < sp < _USER
            assert 0 < ip < _USER
    assert used == sorted(used)


@pytest.mark.guest("proc")
def test_the_files_of_one_that_sleeps_in_a_call(guest: Guest) -> None:
    asleep = guest.result("proc")["asleep"]
    for how in ("native", "boosted"):
        look = asleep[how]["look"]
        assert _fields(look["stat"])[0] == "S"
        assert re.search(r"^State:\s+S ", look["status"], re.M), look
        number, *words = look["syscall"].split()
        arguments = [int(word, 16) for word in words]
        assert int(number) == _READ
        assert arguments[2] == 1  # byte
        assert all(0 < word < _USER for word in arguments[-2:])
        assert "pipe_read" in look["stack"]
        assert look["wchan"] in ("pipe_read", "anon_pipe_read")
        for line in look["stack"].splitlines():
            assert _FRAME.fullmatch(line), line
        # The one sleeps in a region, the other one does not.
        assert ("[ub]" in look["stack"]) == (how == "boosted")
    # The call's own arguments are right, its descriptor among them.
    native, boosted = (
        asleep[how]["look"]["syscall"].split()[1] for how in ("native", "boosted")
    )
    assert boosted == native
    assert asleep["boosted"]["outcome"] == asleep["native"]["outcome"]
    assert asleep["native"]["outcome"]["status"] == 0


@pytest.mark.guest("gdb")
def test_a_debugger_reads_registers_and_goes(guest: Guest) -> None:
    result = guest.result("gdb")
    if result["missing"]:
        pytest.skip("gdb is not installed: apt install gdb")
    assert result["grown"]
    for registers, said in zip(result["registers"], result["said"], strict=True):
        assert registers["r9"] == 0x9999999999999999, said
        assert registers["r10"] == 0xAAAAAAAAAAAAAAAA
        assert registers["r15"] == 0x1515151515151515
        assert registers["r8"] == _GETPPID
        assert registers["rbp"] == _GETPPID
        assert registers["rbx"] < _USER
        assert 0 < registers["rip"] < _USER
        assert 0 < registers["rsp"] < _USER
    # The stack and the page do not move.
    first, second = result["registers"]
    assert first["rsp"] == second["rsp"]
    assert first["r12"] == second["r12"]
    assert result["again"]
    assert result["outcome"]["status"] == 0
