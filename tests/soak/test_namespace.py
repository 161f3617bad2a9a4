# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.soak.namespace import UNSHARE, inside, only_child


def _may_unshare() -> bool:
    return subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0


needs_root = pytest.mark.skipif(not _may_unshare(), reason="needs PID namespaces")


def test_the_only_child_of_a_process() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60; true"]) as parent:
        while not (children := _children(parent.pid)):
            time.sleep(0.01)
        assert only_child(parent.pid) == children[0]
        os.kill(children[0], 9)
        parent.wait()
    with pytest.raises(OSError):  # noqa: PT011 - whichever it is
        only_child(parent.pid)


def _children(pid: int) -> list[int]:
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(word) for word in words]


@needs_root
def test_there_one_is_the_first_process(tmp_path: Path) -> None:
    said = tmp_path / "said"
    status = _fork(
        lambda: inside(
            lambda: (
                said.write_text(f"{os.getpid()} {os.readlink('/proc/self')}"),
                None,
            )[1]
        )
    )
    assert status == 0
    assert said.read_text() == "1 1"


@needs_root
def test_it_ends_with_its_parent_and_says_if_it_fails(tmp_path: Path) -> None:
    said = tmp_path / "said"

    def play() -> None:
        said.write_text("")
        time.sleep(60)

    pid = os.fork()
    if pid == 0:
        inside(play)
        os._exit(0)
    while not said.exists():
        time.sleep(0.01)
    child = only_child(pid)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    deadline = time.monotonic() + 10
    # Who ends loses its memory first, its files later.
    while (left := os.path.exists(f"/proc/{child}/fd/0")) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.01)
    assert not left

    def fail() -> None:
        raise ZeroDivisionError

    assert _fork(lambda: inside(fail)) == 1


def _fork(play: object) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            play()  # type: ignore[operator]
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
