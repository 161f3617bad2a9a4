# SPDX-License-Identifier: GPL-2.0-only
"""Reading other processes, also those of which a read is not answered."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.process import reader
from ubypass.process.maps import MemoryMap, parse_maps
from ubypass.process.reader import ProcessReader

_PAGE = 4096

# Maps a file and touches its second page only.
_SUBJECT = """
import mmap, os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
mapped = mmap.mmap(file, 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
mapped.madvise(mmap.MADV_RANDOM)
mapped[4096]
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """The PID of a process, and the file that it has mapped."""
    file = tmp_path / "mapped"
    file.write_bytes(b"".join(bytes([n]) * _PAGE for n in range(64)))
    with subprocess.Popen(
        [sys.executable, "-c", _SUBJECT, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield process.pid, str(file)
        process.kill()


def _areas(read: ProcessReader) -> MemoryMap:
    return parse_maps(read.maps()[0].decode().split("\n"))


def _start(read: ProcessReader, path: str) -> int:
    return next(area.start for area in _areas(read).areas if area.path == path)


def test_the_map_is_that_of_the_process(subject: tuple[int, str]) -> None:
    pid, _ = subject
    read = ProcessReader(pid)
    assert read.maps() == (Path(f"/proc/{pid}/maps").read_bytes(), {})
    read.close()
    assert read.maps() == (b"", {})


def test_pages_are_read_only_if_the_process_has_them(subject: tuple[int, str]) -> None:
    pid, path = subject
    read = ProcessReader(pid)
    start = _start(read, path)
    second, far, other = (start + n * _PAGE for n in (1, 40, 60))
    assert read.pages([far, second]) == {second: bytes([1]) * _PAGE}
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(far)
        assert memory.read(1) == bytes([40])  # by that it is brought in
    assert read.pages([far, second]) == {
        far: bytes([40]) * _PAGE,
        second: bytes([1]) * _PAGE,
    }
    text, pages = read.maps([second, other])
    assert text == Path(f"/proc/{pid}/maps").read_bytes()
    assert pages == {second: bytes([1]) * _PAGE}
    read.close()


def test_memory_without_a_file_is_read(subject: tuple[int, str]) -> None:
    read = ProcessReader(subject[0])
    stack = next(area for area in _areas(read).areas if area.path == "[stack]")
    (page,) = read.pages([stack.end - _PAGE]).values()
    assert subject[1].encode() in page  # its arguments
    read.close()


def test_of_more_pages_than_one_request_has_the_first_are_read(
    subject: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MOST_PAGES", 3)
    read = ProcessReader(subject[0])
    second = _start(read, subject[1]) + _PAGE
    assert list(read.pages([0, 0, second, 0])) == [second]
    assert read.pages([0, 0, 0, second]) == {}
    assert not read.silent
    read.close()


def test_addresses_that_are_not_there(subject: tuple[int, str]) -> None:
    read = ProcessReader(subject[0])
    assert read.pages([0, 1 << 47, (1 << 64) - _PAGE, 1 << 70, -_PAGE]) == {}
    assert not read.silent
    read.close()


def test_our_own_pages_are_read_as_they_are() -> None:
    read = ProcessReader(os.getpid())
    area = next(each for each in _areas(read).areas if each.is_code and each.is_file)
    last = area.end - _PAGE
    assert len(read.pages([last])[last]) == _PAGE
    read.close()


def test_a_read_without_an_answer_ends_and_others_go_on(
    subject: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_SECONDS", 0.3)
    pid, path = subject
    stuck, other = ProcessReader(pid), ProcessReader(pid)
    page = _start(other, path) + _PAGE
    os.kill(_child(), signal.SIGSTOP)  # what it reads does not come
    began = time.monotonic()
    assert stuck.pages([page]) == {}
    assert stuck.silent
    assert stuck.maps() == (b"", {})
    assert time.monotonic() - began < 3
    assert other.pages([page]) == {page: bytes([1]) * _PAGE}
    assert not other.silent
    stuck.close()
    other.close()


def test_a_child_that_was_killed_is_replaced(subject: tuple[int, str]) -> None:
    read = ProcessReader(subject[0])
    assert read.maps()[0]
    os.kill(_child(), signal.SIGKILL)
    assert read.maps()[0]
    assert not read.silent
    read.close()


def test_a_wait_that_a_signal_ends_leaves_no_late_answer(
    subject: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ProcessReader(subject[0])
    page = _start(read, subject[1]) + _PAGE

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    child = _child()
    os.kill(child, signal.SIGSTOP)
    monkeypatch.setattr(reader.select, "select", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read.maps()
    monkeypatch.undo()
    assert read.pages([page]) == {page: bytes([1]) * _PAGE}
    read.close()


def test_the_child_has_no_file_of_ours(
    subject: tuple[int, str], tmp_path: Path
) -> None:
    """One that is left behind would keep the module's device open."""
    reader._Child.current = None  # a new one, which begins with all of them
    with (tmp_path / "device").open("w") as file:
        read = ProcessReader(subject[0])
        assert read.maps()[0]
        open_there = Path(f"/proc/{_child()}/fd").iterdir()
        assert file.name not in [os.readlink(each) for each in open_there]
        read.close()
    assert read.maps() == (b"", {})


def test_files_are_closed_there_too(subject: tuple[int, str]) -> None:
    first = ProcessReader(subject[0])
    assert first.maps()[0]
    before = len(os.listdir(f"/proc/{_child()}/fd"))
    for _ in range(20):
        read = ProcessReader(subject[0])
        assert read.maps()[0]
        read.close()
    assert first.maps()[0]
    assert len(os.listdir(f"/proc/{_child()}/fd")) == before
    first.close()


def test_a_process_that_is_gone_is_an_error_for_people() -> None:
    with pytest.raises(UbError, match="no longer exists"):
        ProcessReader(2**22 + 1)


def _child() -> int:
    assert reader._Child.current is not None
    return reader._Child.current.pid
