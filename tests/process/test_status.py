# SPDX-License-Identifier: GPL-2.0-only
"""Which processes can be boosted, and who is who."""

from __future__ import annotations

import io
import os
import signal
import struct
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.process import status
from ubypass.process.elf import ElfKind


def test_a_plain_program_is_accepted_and_followed_to_its_end() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        who = status.identify(child.pid)
        assert who.name == "sleep"
        assert status.is_alive(who)
        assert status.threads(child.pid) == (child.pid,)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # now a zombie
        assert not status.is_alive(who)
        with pytest.raises(UbError, match="already exited"):
            status.identify(child.pid)
    assert status.start_time(child.pid) is None
    assert status.threads(child.pid) == ()


def test_a_later_process_with_the_same_number_is_another() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        who = status.identify(child.pid)
        assert not status.is_alive(status.ProcessId(who.pid, who.start - 1, who.name))
        child.kill()


@pytest.mark.parametrize(
    ("pid", "message"),
    [(0, "positive"), (-1, "positive"), (2**22 + 1, "no process")],
)
def test_impossible_numbers(pid: int, message: str) -> None:
    with pytest.raises(UbError, match=message):
        status.identify(pid)


def test_ourselves() -> None:
    with pytest.raises(UbError, match="itself"):
        status.identify(os.getpid())


def test_a_thread_is_not_a_process() -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    try:
        with pytest.raises(UbError, match=f"thread of process {os.getpid()}"):
            status.identify(thread.native_id or 0)
    finally:
        release.set()
        thread.join()


def _kernel_thread() -> int | None:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2]
            except OSError:
                continue
            if int(fields.split()[6]) & 0x00200000:
                return int(name)
    return None


def test_kernel_threads_are_named_as_such() -> None:
    pid = _kernel_thread()
    if pid is None:
        pytest.skip("no kernel thread can be seen from this container")
    with pytest.raises(UbError, match="kernel thread"):
        status.identify(pid)


def test_a_name_with_parentheses_does_not_confuse(tmp_path: Path) -> None:
    odd = tmp_path / "a) R 1 (b"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "60"]) as child:
        who = status.identify(child.pid)
        child.kill()
    assert who.name == "a) R 1 (b"


def test_descendants_are_found_parents_first() -> None:
    script = "sleep 60 & (sleep 60 & echo; wait) & wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as shell:
        try:
            assert shell.stdout is not None
            shell.stdout.readline()
            deadline = time.monotonic() + 10
            while (
                len(status.descendants(shell.pid)) < 3 and time.monotonic() < deadline
            ):
                time.sleep(0.01)
            found = status.descendants(shell.pid)
            assert len(found) == 3
            assert set(found) <= set(status.descendants(os.getpid()))
        finally:
            for pid in (*status.descendants(shell.pid), shell.pid):
                os.kill(pid, signal.SIGKILL)
    assert status.descendants(shell.pid) == ()


def _auxv(word: str, *entries: tuple[int, int]) -> bytes:
    return b"".join(struct.pack(f"<2{word}", *entry) for entry in (*entries, (0, 0)))


@pytest.mark.parametrize(
    ("auxv", "kind"),
    [
        (_auxv("Q", (33, 0x7FFFF7FC9000), (4, 56), (5, 13)), ElfKind.X86_64),
        (_auxv("I", (32, 0xF7FC4550), (33, 0xF7FC4000), (4, 32)), ElfKind.I386),
        (_auxv("I", (33, 0xF7FC4000), (4, 32)), ElfKind.X32),
        (_auxv("Q", (5, 13)), ElfKind.OTHER),
        (b"\1\2\3", ElfKind.OTHER),
        (b"", None),
    ],
)
def test_the_kernel_says_what_kind_of_program_it_is(
    auxv: bytes, kind: ElfKind | None
) -> None:
    assert status.program_kind(auxv) is kind


def test_this_program_is_a_64_bit_one() -> None:
    auxv = Path("/proc/self/auxv").read_bytes()
    assert status.program_kind(auxv) is ElfKind.X86_64


def test_a_program_that_is_just_being_started_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[str] = []

    def played(path: str, *rest: object, **more: object) -> object:
        if path.endswith("/auxv"):
            looks.append(path)
            if len(looks) < before:
                return io.BytesIO(bytes(16))
        return open(path, *rest, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(status, "open", played, raising=False)
    with subprocess.Popen(["sleep", "60"]) as child:
        before = 5
        assert status.identify(child.pid).name == "sleep"
        assert len(looks) >= 5
        before = 1 << 30
        with pytest.raises(UbError, match="is starting a program"):
            status.identify(child.pid, patience=0.02)
        child.kill()


def test_no_file_of_the_process_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be on a file system whose server never answers."""
    opened: list[str] = []

    def note(path: str, *rest: object, **more: object) -> object:
        opened.append(path)
        return open(path, *rest, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(status, "open", note, raising=False)
    with subprocess.Popen(["sleep", "60"]) as child:
        status.identify(child.pid)
        child.kill()
    assert opened
    assert not any(path.endswith(("/exe", "/cwd", "/root")) for path in opened)


def test_a_name_cannot_command_the_terminal(tmp_path: Path) -> None:
    odd = tmp_path / "\x1b]0;mine\a"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "60"]) as child:
        who = status.identify(child.pid)
        child.kill()
    assert who.name == "?]0;mine?"


def test_a_name_that_an_exec_changes_meanwhile_is_the_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        before = status._read_stat(child.pid)
        assert before is not None
        names = iter(["forked", "program"])
        monkeypatch.setattr(
            status, "_read_stat", lambda pid: replace(before, name=next(names))
        )
        assert status.identify(child.pid).name == "program"
        child.kill()


def test_names_have_no_control_characters(tmp_path: Path) -> None:
    (tmp_path / "comm").write_text("a\x1b[31mb\n")
    assert status.read_name(tmp_path) == "a?[31mb"
    assert status.name_of(os.getpid()) == status.read_name(Path("/proc/self"))
    assert status.name_of(2**22 + 1) == "?"
