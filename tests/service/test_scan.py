# SPDX-License-Identifier: GPL-2.0-only
"""The scanner, on processes of this machine and on directories that play /proc."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ubypass.process.status import start_time
from ubypass.service import scan
from ubypass.service.scan import Scanner, parent_of, read_facts


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as child:
        yield child
        child.kill()


def _facts(pid: int, scanner: Scanner) -> list[str]:
    return [each.exe for each in scanner.look().seen if each.pid == pid]


def test_what_is_known_of_a_process(sleeper: subprocess.Popen[bytes]) -> None:
    facts = read_facts(sleeper.pid)
    assert facts is not None
    assert facts.pid == sleeper.pid
    assert facts.start == start_time(sleeper.pid)
    assert facts.uid == os.geteuid()
    assert facts.exe.startswith("/")
    assert parent_of(sleeper.pid) == os.getpid()


def test_nothing_is_known_of_the_dead() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert read_facts(child.pid) is None
    assert parent_of(child.pid) == 0


def test_who_comes_is_seen_once_and_so_is_who_goes() -> None:
    scanner = Scanner()
    scanner.look()
    with subprocess.Popen(["sleep", "60"]) as child:
        assert any(facts.pid == child.pid for facts in scanner.look().seen) or _facts(
            child.pid, scanner
        )
        # The child of a fork may have been seen before it ran its program.
        for _ in range(3):
            scanner.look()
        assert _facts(child.pid, scanner) == []
        child.kill()
    gone: list[int] = []
    for _ in range(10):
        gone += scanner.look().gone
    assert gone.count(child.pid) == 1
    assert child.pid not in {facts.pid for facts in scanner.facts}


class _Played:
    """A directory with processes, and what reads of it there were."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place
        self.listed = 0
        self.read: list[int] = []
        self.newest(1)
        real_list, real_read = os.scandir, scan.read_facts

        def scandir(path: str) -> object:
            self.listed += 1
            return real_list(path)

        def read(pid: int, proc: str) -> object:
            self.read.append(pid)
            return real_read(pid, proc)

        monkeypatch.setattr(os, "scandir", scandir)
        monkeypatch.setattr(scan, "read_facts", read)

    def newest(self, pid: int) -> None:
        (self.place / "loadavg").write_text(f"0.00 0.00 0.00 1/99 {pid}\n")

    def add(self, pid: int, exe: str = "/bin/a") -> None:
        directory = self.place / str(pid)
        directory.mkdir()
        (directory / "exe").symlink_to(exe)
        (directory / "cgroup").write_text("0::/system.slice/a.service\n")
        (directory / "status").write_text("Name:\ta\nUid:\t5\t6\t7\t8\n")
        self.newest(pid)

    def exec(self, pid: int, exe: str) -> None:
        (self.place / str(pid) / "exe").unlink()
        (self.place / str(pid) / "exe").symlink_to(exe)

    def remove(self, pid: int) -> None:
        for file in (self.place / str(pid)).iterdir():
            file.unlink()
        (self.place / str(pid)).rmdir()


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Played:
    return _Played(tmp_path, monkeypatch)


def test_facts_are_those_of_the_files(played: _Played) -> None:
    played.add(5, "/usr/sbin/nginx (deleted)")
    (facts,) = Scanner(played.place).look().seen
    assert (facts.exe, facts.uid) == ("/usr/sbin/nginx", 6)
    assert facts.units == ("system.slice", "a.service")


def test_nothing_is_listed_while_nobody_is_born(played: _Played) -> None:
    played.add(5)
    scanner = Scanner(played.place)
    for _ in range(8):
        scanner.look()
    assert played.listed == 1
    played.add(6)
    assert [facts.pid for facts in scanner.look().seen] == [6]
    assert played.listed == 2
    # Numbers begin anew some day: the newest may be the same by chance.
    for _ in range(8):
        scanner.look()
    assert played.listed == 3


def test_an_exec_is_seen_soon_after_the_birth(played: _Played) -> None:
    played.add(5, "/bin/sh")
    scanner = Scanner(played.place)
    scanner.look()
    played.exec(5, "/bin/b")
    assert [facts.exe for facts in scanner.look().seen] == ["/bin/b"]


def test_and_a_later_one_in_its_turn(played: _Played) -> None:
    for pid in range(100, 160):
        played.add(pid)
    scanner = Scanner(played.place)
    for _ in range(40):
        scanner.look()
    played.read.clear()
    played.exec(130, "/bin/b")
    seen = []
    for _ in range(30):
        seen += [facts.exe for facts in scanner.look().seen]
    assert seen == ["/bin/b"]
    # Each was looked at once, not each at each look.
    assert len(played.read) == 60


def test_another_process_with_that_number_is_another(played: _Played) -> None:
    played.add(5)
    scanner = Scanner(played.place)
    for _ in range(5):
        scanner.look()
    played.remove(5)
    (played.place / "inode").mkdir()  # takes the number of the directory's inode
    played.add(5)
    played.newest(4)
    assert [facts.pid for facts in scanner.look().seen] == [5]


def test_kernel_threads_are_not_looked_into(played: _Played) -> None:
    played.add(5)
    (played.place / "5" / "exe").unlink()
    scanner = Scanner(played.place)
    assert scanner.look().seen == []
    assert scanner.facts == []


def test_many_come_and_go_and_nothing_is_kept(played: _Played) -> None:
    scanner = Scanner(played.place)
    for round_ in range(50):
        for pid in range(10):
            played.add(100 + round_ * 10 + pid)
        scanner.look()
        for pid in range(10):
            played.remove(100 + round_ * 10 + pid)
    played.newest(1)
    scanner.look()
    assert scanner.facts == []
    assert (scanner._known, scanner._young) == ({}, set())
