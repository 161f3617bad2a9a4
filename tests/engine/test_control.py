# SPDX-License-Identifier: GPL-2.0-only
"""Questions to an engine: answered in its loop, and never at its expense."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.fakes import FakeDevice
from ubypass.engine.built import Built, NothingToBuild
from ubypass.engine.control import Control, ask, ask_all
from ubypass.engine.engine import Engine
from ubypass.engine.knowledge import Knowledge
from ubypass.engine.ports import MemoryLike
from ubypass.errors import UbError


def _build(knowledge: Knowledge, memory: MemoryLike) -> Built:
    raise NothingToBuild


def _echo(question: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"you": question["who"], "long": "x" * 300_000}


def _refuse(question: Mapping[str, Any]) -> Mapping[str, Any]:
    raise UbError("no such process", "look again")


def _break(question: Mapping[str, Any]) -> Mapping[str, Any]:
    raise ZeroDivisionError


@pytest.fixture
def engine() -> Iterator[Engine]:
    device = FakeDevice()
    engine = Engine(device, build=_build)
    yield engine
    engine.close()
    device.close()


@pytest.fixture
def control(engine: Engine, tmp_path: Path) -> Iterator[Control]:
    handlers = {"echo": _echo, "refuse": _refuse, "break": _break}
    control = Control(engine, handlers, tmp_path / "run")
    yield control
    control.close()


def _while_running(engine: Engine, action: Callable[[], Any]) -> Any:
    """What ``action`` returns, called from a thread while the loop runs."""
    result: list[Any] = []

    def call() -> None:
        try:
            result.append(action())
        except Exception as error:
            result.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    end = time.monotonic() + 10
    while not result and time.monotonic() < end:
        engine.step(0.01)
    thread.join(5)
    return result[0]


def _path(tmp_path: Path) -> Path:
    return tmp_path / "run" / f"{os.getpid()}.sock"


def test_a_question_is_answered(
    engine: Engine, control: Control, tmp_path: Path
) -> None:
    question = {"ask": "echo", "who": "me"}
    answer = _while_running(engine, lambda: ask(_path(tmp_path), question))
    assert answer["you"] == "me"
    assert len(answer["long"]) == 300_000


def test_only_the_owner_may_ask(control: Control, tmp_path: Path) -> None:
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("refuse", "no such process"),
        ("break", "internal error"),
        ("??", "not a question"),
    ],
)
def test_errors_come_back_as_errors(
    engine: Engine, control: Control, tmp_path: Path, what: str, message: str
) -> None:
    error = _while_running(engine, lambda: ask(_path(tmp_path), {"ask": what}))
    assert isinstance(error, UbError)
    assert message in error.message


@pytest.mark.parametrize("junk", [b"\n", b"[1]\n", b"\xff\xfe\n", b"{\n", b"z" * 9000])
def test_junk_does_not_hurt(
    engine: Engine, control: Control, tmp_path: Path, junk: bytes
) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(_path(tmp_path)))
        client.sendall(junk)
        for _ in range(5):
            engine.step(0.01)
    question = {"ask": "echo", "who": "still here"}
    answer = _while_running(engine, lambda: ask(_path(tmp_path), question))
    assert answer["you"] == "still here"


def test_a_silent_client_holds_nobody_up(
    engine: Engine, control: Control, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(_path(tmp_path)))
        client.sendall(b'{"ask"')
        answer = _while_running(
            engine, lambda: ask(_path(tmp_path), {"ask": "echo", "who": 1})
        )
    assert answer["you"] == 1


def test_sockets_of_dead_engines_are_removed(
    engine: Engine, control: Control, tmp_path: Path
) -> None:
    dead = tmp_path / "run" / "1.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(dead))
    answers = _while_running(
        engine, lambda: ask_all({"ask": "echo", "who": 2}, tmp_path / "run")
    )
    assert [answer["you"] for answer in answers] == [2]
    assert not dead.exists()


def test_no_engine_gives_no_answers(tmp_path: Path) -> None:
    assert ask_all({"ask": "echo"}, tmp_path / "nowhere") == []


def test_closing_removes_the_socket(engine: Engine, tmp_path: Path) -> None:
    control = Control(engine, {}, tmp_path / "run")
    assert _path(tmp_path).exists()
    control.close()
    assert not _path(tmp_path).exists()
