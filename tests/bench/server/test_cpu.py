# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from ubypass.bench.server.cpu import busiest_thread, children, cpu_ns, vhost_threads
from ubypass.errors import UbError


def fake(proc: Path, pid: int, *threads: str) -> None:
    for number, text in enumerate(threads):
        task = proc / str(pid) / "task" / str(pid + number)
        task.mkdir(parents=True)
        (task / "schedstat").write_text(text)


def test_adds_up_threads_and_processes(tmp_path: Path) -> None:
    fake(tmp_path, 10, "1000 5 3\n", "200 7 1\n")
    fake(tmp_path, 20, "30 0 1\n")
    assert cpu_ns([10, 20], tmp_path) == 1230


def test_a_thread_that_ends_meanwhile(tmp_path: Path) -> None:
    fake(tmp_path, 10, "1000 5 3\n", "")
    assert cpu_ns([10], tmp_path) == 1000


def test_a_process_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="process 10 ended"):
        cpu_ns([10], tmp_path)


def test_the_busiest_thread(tmp_path: Path) -> None:
    fake(tmp_path, 10, "200 7 1\n", "1000 5 3\n", "30 0 1\n")
    assert busiest_thread(10, tmp_path) == 11
    with pytest.raises(UbError, match="process 20 ended"):
        busiest_thread(20, tmp_path)


def test_grows_with_work_in_any_thread() -> None:
    def work() -> None:
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass
        done.wait()

    done = threading.Event()
    before = cpu_ns([os.getpid()])
    thread = threading.Thread(target=work)
    thread.start()
    end = time.monotonic() + 20
    # A thread that has ended is not counted, so it stays until we have looked.
    while cpu_ns([os.getpid()]) - before < 40_000_000 and time.monotonic() < end:
        time.sleep(0.01)
    assert cpu_ns([os.getpid()]) - before >= 40_000_000
    done.set()
    thread.join()


def test_children() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        assert child.pid in children(os.getpid())
        child.kill()
    assert children(2**22 + 1) == ()


def test_threads_of_the_kernel_for_a_tap(tmp_path: Path) -> None:
    names = {"10": "redis", "11": "vhost-10", "9": "vhost-10", "12": "vhost-100"}
    for pid, name in (*names.items(), ("self", "vhost-10")):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "comm").write_text(f"{name}\n")
    assert vhost_threads(10, tmp_path) == (9, 11)
    assert vhost_threads(os.getpid()) == ()
