# SPDX-License-Identifier: GPL-2.0-only
"""Who is meant by a number, if who asks lives in another PID namespace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.fakes import FakeDevice, FakeMemory
from ubypass.engine.built import Built, NothingToBuild
from ubypass.engine.engine import Engine
from ubypass.engine.ports import MemoryLike
from ubypass.engine.profile import Profile
from ubypass.engine.requests import serve_detach, serve_explain, serve_stats
from ubypass.errors import UbError
from ubypass.process.namespace import own_namespace
from ubypass.process.status import ProcessId


def _build(profile: Profile, memory: MemoryLike) -> Built:
    raise NothingToBuild


@pytest.fixture
def engine() -> Iterator[Engine]:
    device = FakeDevice()
    engine = Engine(
        device, build=_build, open_memory=lambda pid: FakeMemory(), open_sampler=None
    )
    engine.attach(ProcessId(1001, 1, "a"))
    engine.attach(ProcessId(1002, 1, "b"))
    yield engine
    engine.close()
    device.close()


def test_figures_say_whose_numbers_they_are(engine: Engine) -> None:
    answer = serve_stats(engine, {})
    assert answer["pid_namespace"] == own_namespace()
    assert [each["pid"] for each in answer["processes"]] == [1001, 1002]


def test_a_number_from_outside(engine: Engine) -> None:
    here = str(own_namespace())
    question = {"id": 1002, "numbers": {"7": 1002, here: 1001}}
    assert serve_explain(engine, question)["pid"] == 1001
    assert serve_explain(engine, {"id": 1002})["pid"] == 1002


def test_a_number_of_a_process_that_is_not_in_our_namespace(engine: Engine) -> None:
    with pytest.raises(UbError, match="has the number 1002"):
        serve_explain(engine, {"id": 1002, "numbers": {"7": 1002}})


def test_a_process_is_left_native(engine: Engine) -> None:
    here = str(own_namespace())
    assert serve_detach(engine, {"id": 7, "numbers": {here: 1001}}) == {"pid": 1001}
    assert [target.process.pid for target in engine.targets] == [1002]
    with pytest.raises(UbError, match="1001 is not attached"):
        serve_detach(engine, {"id": 1001})
    with pytest.raises(UbError, match="has the number 1002"):
        serve_detach(engine, {"id": 1002, "numbers": {"7": 1002}})
