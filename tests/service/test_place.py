# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.service.played import House
from ubypass.engine.control import Control
from ubypass.errors import UbError
from ubypass.service.place import EX_NOT_RUNNING, NotRunning, ask_service, only_one


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir(mode=0o700)
    return path


def test_nobody_is_there(directory: Path) -> None:
    for place in directory, directory / "missing":
        with pytest.raises(NotRunning) as caught:
            ask_service({"ask": "x"}, place)
        assert caught.value.exit_code == EX_NOT_RUNNING


def test_the_service_is_asked_and_no_other_engine(directory: Path) -> None:
    here = House("")
    (directory / "1.1.sock").touch()
    control = Control(here.engine, {"x": lambda question: {"y": 1}}, directory)
    with only_one(directory):
        answers: list[object] = []
        thread = threading.Thread(
            target=lambda: answers.append(ask_service({"ask": "x"}, directory))
        )
        thread.start()
        while thread.is_alive():
            here.engine.step(0.01)
        assert answers == [{"y": 1}]
    with pytest.raises(NotRunning):
        ask_service({"ask": "x"}, directory)
    control.close()
    here.close()


def test_there_is_one(directory: Path) -> None:
    with (
        only_one(directory),
        pytest.raises(UbError, match="already running"),
        only_one(directory),
    ):
        pass
    with only_one(directory):
        pass


def test_what_a_dead_one_left_behind(directory: Path) -> None:
    (directory / "service").symlink_to("4711.1.sock")
    with pytest.raises(NotRunning):
        ask_service({"ask": "x"}, directory)
    with only_one(directory):
        assert os.readlink(directory / "service").startswith(f"{os.getpid()}.")


def test_a_directory_of_somebody_else_is_not_trusted(directory: Path) -> None:
    directory.chmod(0o777)
    with pytest.raises(UbError, match="cannot be trusted"):
        ask_service({"ask": "x"}, directory)
    with pytest.raises(UbError, match="cannot be trusted"), only_one(directory):
        pass
