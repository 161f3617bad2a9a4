# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ubypass.estimate.reasons import declined, tracer

_FILTER = """
import ctypes, struct, sys
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
allow = ctypes.create_string_buffer(struct.pack("<HBBI", 6, 0, 0, 0x7fff0000))
program = struct.pack("<HxxxxxxQ", 1, ctypes.addressof(allow))
assert libc.prctl(22, 2, ctypes.create_string_buffer(program), 0, 0) == 0
print("ready", flush=True)
sys.stdin.read()
"""
SECCOMP = """
import ctypes, os
read, write, prctl = os.read, os.write, ctypes.CDLL(None).prctl
prctl(0, 0)
prctl(22, 1)  # strict mode: read, write, exit
write(1, b"ready\\n")
read(0, 1)
"""
_TIMER = """
import ctypes, sys
librt = ctypes.CDLL("librt.so.1")
timer, mask_virtual = ctypes.c_void_p(), (~0 << 3) | 1
event = ctypes.create_string_buffer(64)
assert librt.timer_create(ctypes.c_int(mask_virtual), None, ctypes.byref(timer)) == 0
print("ready", flush=True)
sys.stdin.read()
"""


def _names(pid: int, proc: Path = Path("/proc")) -> list[str]:
    return [reason.name for reason in declined(pid, proc)]


def test_an_ordinary_program() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        assert _names(child.pid) in ([], ["shadow_stack"])
        assert tracer(child.pid) == 0
        child.kill()


def test_filters_are_asked_where_the_kernel_describes_itself(tmp_path: Path) -> None:
    btf = tmp_path / "vmlinux"
    with subprocess.Popen(
        [sys.executable, "-c", _FILTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        if child.stdout.readline() != b"ready\n":
            pytest.skip("this kernel has no filters")
        without = [reason.name for reason in declined(child.pid, btf=btf)]
        btf.write_bytes(b"")
        described = [reason.name for reason in declined(child.pid, btf=btf)]
        child.kill()
    assert "seccomp" in without
    assert "seccomp" not in described


@pytest.mark.parametrize(
    ("code", "name"), [(SECCOMP, "seccomp"), (_TIMER, "user_time")]
)
def test_real_programs(code: str, name: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        if child.stdout.readline() != b"ready\n":
            pytest.skip(f"this kernel has no way to try {name}")
        found = declined(child.pid)
        child.kill()
    if name == "user_time" and not found:
        pytest.skip("this kernel does not show timers in /proc")
    assert [reason.name for reason in found if reason.name != "shadow_stack"] == [name]
    assert all(reason.lasting and reason.text and reason.hint for reason in found)


def test_what_the_kernel_says_of_others(tmp_path: Path) -> None:
    folder = tmp_path / "7"
    (folder / "fd").mkdir(parents=True)
    os.symlink("anon_inode:kvm-vcpu:0", folder / "fd" / "5")
    (folder / "status").write_text(
        "Name:\tx: y\nTracerPid:\t12\nSeccomp:\t0\nx86_Thread_features:\tshstk wrss\n"
    )
    (folder / "timers").write_text("ID: 0\nClockID: 1\nID: 1\nClockID: -6\n")
    assert _names(7, tmp_path) == ["ptrace", "shadow_stack", "vcpu"]
    assert tracer(7, tmp_path) == 12


def test_who_is_gone(tmp_path: Path) -> None:
    assert declined(7, tmp_path) == ()
    assert tracer(7, tmp_path) == 0
