# SPDX-License-Identifier: GPL-2.0-only
"""Samples come from where a program spins."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from ubypass.process.memory import ProcessMemory
from ubypass.process.sampler import Sampler


def test_a_spinning_program_is_seen_in_its_code() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as child:
        time.sleep(0.2)
        sampler = Sampler(child.pid)
        with ProcessMemory(child.pid) as memory:
            end = time.monotonic() + 10
            found: dict[int, int] = {}
            while len(found) < 5 and time.monotonic() < end:
                time.sleep(0.1)
                found.update(sampler.take())
            code = [address for address in found if memory.is_code(address)]
        sampler.close()
        child.kill()
    if not found:
        pytest.skip("this kernel does not sample")
    assert len(code) == len(found)


def test_taking_empties_the_buffer() -> None:
    sampler = Sampler(os.getpid())
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    first = sum(sampler.take().values())
    assert sum(sampler.take().values()) <= first // 2
    sampler.close()
    assert sampler.take() == {}


def test_a_process_that_is_gone_gives_no_samples() -> None:
    assert Sampler(2**22 + 1).take() == {}
