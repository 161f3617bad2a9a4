# SPDX-License-Identifier: GPL-2.0-only
"""Names of addresses in a live process (this one)."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process.test_elf import swollen
from ubypass.process import symbols as symbols_module
from ubypass.process.memory import ProcessMemory
from ubypass.process.symbols import Symbols


def _libc(name: str) -> int:
    value = ctypes.cast(getattr(ctypes.CDLL("libc.so.6"), name), ctypes.c_void_p).value
    assert value is not None
    return value


def test_libc_functions_have_their_names() -> None:
    address = _libc("getppid")
    with ProcessMemory(os.getpid()) as memory:
        symbols = Symbols(memory)
        assert symbols.name(address) == "libc.so.6:getppid"
        assert symbols.name(address + 3) == "libc.so.6:getppid+0x3"


def test_the_vdso_has_names_too() -> None:
    with ProcessMemory(os.getpid()) as memory:
        vdso = next(area for area in memory.maps.areas if area.path == "[vdso]")
        symbols = Symbols(memory)
        names = {symbols.name(address) for address in range(vdso.start, vdso.end, 16)}
    assert any(name.startswith("vdso:clock_gettime") for name in names)


def test_what_has_no_name_is_still_shown() -> None:
    with ProcessMemory(os.getpid()) as memory:
        symbols = Symbols(memory)
        assert symbols.name(0x10) == "0x10"
        stack = next(area for area in memory.maps.areas if area.path == "[stack]")
        assert symbols.name(stack.start + 5) == "stack+0x5"


@pytest.fixture
def impatient() -> Iterator[None]:
    """Who waits for ever fails."""

    def fail(number: int, frame: object) -> None:
        raise AssertionError("blocked")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _map(file: Path) -> mmap.mmap:
    with file.open("rb") as opened:
        return mmap.mmap(
            opened.fileno(),
            0,
            flags=mmap.MAP_PRIVATE,
            prot=mmap.PROT_READ | mmap.PROT_EXEC,
        )


def _name_in(file: Path) -> str:
    """The name of the second byte of ``file``, as mapped by this process."""
    with ProcessMemory(os.getpid()) as memory:
        area = next(a for a in memory.maps.areas if a.path.startswith(str(file)))
        return Symbols(memory).name(area.start + 1)


def _fifo(place: Path) -> None:
    os.mkfifo(place)


def _device(place: Path) -> None:
    place.symlink_to("/dev/zero")


def _program(place: Path) -> None:
    shutil.copy("/bin/true", place)


@pytest.mark.parametrize("make", [_fifo, _device, _program])
def test_what_lies_where_a_file_was_is_not_opened(
    tmp_path: Path, impatient: None, make: Callable[[Path], None]
) -> None:
    """The process may put anything under the name of what it has mapped."""
    file = tmp_path / "code"
    file.write_bytes(b"no program" * 1000)
    with _map(file):
        file.unlink()
        make(tmp_path / "code (deleted)")
        assert _name_in(file) == "code+0x1"


def test_a_huge_symbol_table_costs_little(tmp_path: Path, impatient: None) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    source = tmp_path / "source.s"
    source.write_text(".globl one\none: ret\n")
    plain = tmp_path / "plain"
    subprocess.run(["gcc", "-shared", "-nostdlib", "-o", plain, source], check=True)
    bomb = tmp_path / "bomb"
    bomb.write_bytes(swollen(plain.read_bytes(), 24 << 26))
    length = len(bomb.read_bytes())
    with _map(bomb):
        os.truncate(bomb, length + (24 << 26))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.monotonic()
        assert _name_in(bomb) == "bomb+0x1"
        assert time.monotonic() - began < 10
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_files_that_take_long_are_given_up_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file system whose server does not answer must not hold up the engine."""

    def slow(pid: int, area: object, name: str) -> object:
        time.sleep(60)
        raise AssertionError

    monkeypatch.setattr(symbols_module, "_mapped_file", slow)
    monkeypatch.setattr(symbols_module, "_SECONDS", 0.3)
    monkeypatch.setattr(symbols_module, "_PATIENCE", 0.5)
    began = time.monotonic()
    with ProcessMemory(os.getpid()) as memory:
        symbols = Symbols(memory)
        areas = [area for area in memory.maps.areas if area.is_file]
        assert len({area.path for area in areas}) > 5
        for area in areas:
            assert symbols.name(area.start).endswith(f"+{area.offset:#x}")
    assert time.monotonic() - began < 5
