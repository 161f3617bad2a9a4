# SPDX-License-Identifier: GPL-2.0-only
"""Questions to an engine: answered in its loop, and never at its expense."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.fakes import FakeDevice
from ubypass.engine import control as control_module
from ubypass.engine.built import Built, NothingToBuild
from ubypass.engine.control import Control, ask, ask_all, socket_path
from ubypass.engine.engine import Engine
from ubypass.engine.ports import MemoryLike
from ubypass.engine.profile import Profile
from ubypass.errors import UbError


def _build(profile: Profile, memory: MemoryLike) -> Built:
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
    return socket_path(os.getpid(), tmp_path / "run")


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
        ("??", "unknown request"),
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
    answers, silent = _while_running(
        engine, lambda: ask_all({"ask": "echo", "who": 2}, tmp_path / "run")
    )
    assert silent == []
    assert [answer["you"] for answer in answers] == [2]
    assert not dead.exists()


def test_no_engine_gives_no_answers(tmp_path: Path) -> None:
    assert ask_all({"ask": "echo"}, tmp_path / "nowhere") == ([], [])


def test_closing_removes_the_socket(engine: Engine, tmp_path: Path) -> None:
    control = Control(engine, {}, tmp_path / "run")
    assert _path(tmp_path).exists()
    control.close()
    assert not _path(tmp_path).exists()


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[int]:
    """The number of an engine that was stopped (Ctrl-Z): it listens, no more."""
    code = (
        "import os, signal, socket, sys\n"
        "server = socket.socket(socket.AF_UNIX)\n"
        "server.bind(f'{sys.argv[1]}/{os.getpid()}.sock')\n"
        "server.listen()\n"
        "os.kill(os.getpid(), signal.SIGSTOP)"
    )
    run = tmp_path / "run"
    run.mkdir(mode=0o700, exist_ok=True)
    with subprocess.Popen([sys.executable, "-c", code, str(run)]) as process:
        os.waitpid(process.pid, os.WUNTRACED)
        yield process.pid
        process.kill()


def test_a_stopped_engine_blinds_nobody(
    engine: Engine, control: Control, tmp_path: Path, stopped: int
) -> None:
    began = time.monotonic()
    answers, silent = _while_running(
        engine, lambda: ask_all({"ask": "echo", "who": 3}, tmp_path / "run")
    )
    assert time.monotonic() - began < 3
    assert [answer["you"] for answer in answers] == [3]
    assert [error.message for error in silent] == [
        f"engine {stopped} does not answer: the process is stopped"
    ]
    assert f"kill -CONT {stopped}" in silent[0].hint


def test_only_a_stopped_engine(tmp_path: Path, stopped: int) -> None:
    began = time.monotonic()
    answers, silent = ask_all({"ask": "echo"}, tmp_path / "run")
    assert time.monotonic() - began < 3
    assert answers == []
    assert len(silent) == 1


def test_a_busy_engine_is_waited_for_briefly(
    engine: Engine,
    control: Control,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control_module, "_ALL_SECONDS", 0.5)
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(tmp_path / "run" / "1.sock"))
        busy.listen()
        answers, silent = _while_running(
            engine, lambda: ask_all({"ask": "echo", "who": 4}, tmp_path / "run")
        )
        assert [answer["you"] for answer in answers] == [4]
        assert "engine 1 does not answer: it is busy" in silent[0].message
        monkeypatch.setattr(control_module, "_ASK_SECONDS", 0.5)
        error = _while_running(
            engine, lambda: ask_all({"ask": "refuse"}, tmp_path / "run")
        )
    # The busy one may be the one that would not refuse.
    assert isinstance(error, UbError)
    assert error.message.startswith("no such process; engine 1 does not answer")


def test_a_directory_of_somebody_elses_is_not_trusted(
    engine: Engine, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir(mode=0o755)
    run.chmod(0o755)
    with pytest.raises(UbError, match=r"others have access to it \(mode 755\)"):
        Control(engine, {}, run)
    run.chmod(0o700)
    link = tmp_path / "link"
    link.symlink_to(run)
    with pytest.raises(UbError, match="not a directory"):
        Control(engine, {}, link)
    if os.geteuid() == 0:
        os.chown(run, 65534, 65534)
        with pytest.raises(UbError, match="belongs to user 65534") as caught:
            Control(engine, {}, run)
        assert f"rm -r {run}" in caught.value.hint
        (run / "1.sock").touch()
        with pytest.raises(UbError, match="belongs to user 65534"):
            ask_all({"ask": "echo"}, run)
