# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.engine.fakes import FakeDevice, FakeMemory
from tests.guest.newcomers import Newcomers
from ubypass.engine.built import Built, NothingToBuild
from ubypass.engine.engine import Engine
from ubypass.engine.ports import MemoryLike
from ubypass.engine.profile import Profile


def nothing(profile: Profile, memory: MemoryLike) -> Built:
    raise NothingToBuild


@pytest.fixture
def engine() -> Iterator[Engine]:
    device = FakeDevice()
    engine = Engine(
        device, build=nothing, open_memory=lambda pid: FakeMemory({0x1000: b"\x90"})
    )
    yield engine
    engine.close()
    device.close()


@pytest.fixture
def sleeper() -> Iterator[int]:
    process = subprocess.Popen(["sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


def told(engine: Engine, program: str, *pids: int) -> Newcomers:
    reading, writing = os.pipe2(os.O_NONBLOCK)
    os.write(writing, "".join(f"{pid}\n" for pid in pids).encode())
    newcomers = Newcomers(
        engine, reading, program, Profile(execution_counts={0x1000: 1})
    )
    newcomers.step()
    os.close(reading)
    os.close(writing)
    return newcomers


def test_attaches_with_what_is_known(engine: Engine, sleeper: int) -> None:
    newcomers = told(engine, "sleep", sleeper)
    (target,) = engine.targets
    assert target.process.pid == sleeper
    assert target.profile.execution_counts == {0x1000: 1}
    figures = newcomers.figures()
    assert (figures["attached"], figures["processes"]) == (1, 1)
    assert (figures["boosted"], figures["failed_to_attach"]) == (0, [])


def test_waits_until_it_runs_the_program(engine: Engine, sleeper: int) -> None:
    newcomers = told(engine, "redis", sleeper)
    assert engine.targets == ()
    assert newcomers.figures()["failed_to_attach"] == []


def test_what_has_ended_is_no_failure(engine: Engine) -> None:
    ended = subprocess.Popen(["true"])
    newcomers = told(engine, "true", ended.pid)
    ended.wait()
    assert newcomers.figures()["failed_to_attach"] == []


def test_what_cannot_be_attached_is_one(engine: Engine) -> None:
    newcomers = told(engine, "python", os.getpid())
    (why,) = newcomers.figures()["failed_to_attach"]
    assert "ub itself" in why
