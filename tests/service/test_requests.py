# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.service.played import House, program, running
from ubypass.errors import UbError
from ubypass.process.status import identify
from ubypass.service.client import BOOST
from ubypass.service.requests import handlers, lasting_handlers, status


def test_the_state_is_plain_data() -> None:
    here = House('[[rule]]\nname = "a"\nexe = "/nothing"\n')
    answer = json.loads(json.dumps(status(here.supervisor, "/etc/x.toml")))
    assert answer["version"] == 1
    assert answer["pid"] == os.getpid()
    assert answer["config"] == "/etc/x.toml"
    assert answer["paused_by"] is None
    assert [rule["name"] for rule in answer["rules"]] == ["a"]
    here.close()


def test_what_is_not_attached_cannot_be_released() -> None:
    here = House("")
    answers = handlers(lambda: here.supervisor, "/etc/x.toml")
    with pytest.raises(UbError, match="process 7 is not attached"):
        answers["detach"]({"id": 7})
    here.close()


def test_operators_may_act() -> None:
    here = House("")
    answers = handlers(lambda: here.supervisor, "/etc/x.toml")
    assert answers["service-pause"]({})["paused_by"] == "operator"
    assert answers["service-resume"]({})["paused_by"] is None
    here.text = "x = 1"
    with pytest.raises(UbError, match="no key 'x'"):
        answers["service-reload"]({})
    assert "no key 'x'" in answers["service-status"]({})["config_error"]
    here.close()


class _Connection:
    """What a handler says to its client."""

    def __init__(self) -> None:
        self.ended: Callable[[], None] = lambda: None
        self.sent: list[Any] = []
        self.finished = False

    def keep(self, ended: Callable[[], None]) -> None:
        self.ended = ended

    def send(self, message: Any) -> None:
        self.sent.append(json.loads(json.dumps(message)))

    def finish(self) -> None:
        self.finished = True


def test_a_client_may_have_a_process_boosted(tmp_path: Path) -> None:
    here = House("")
    boost = lasting_handlers(lambda: here.supervisor)[BOOST]
    client: Any = _Connection()
    with running(program(tmp_path, "one")) as (child,):
        process = identify(child.pid)
        named = {"id": child.pid, "start": process.start}
        boost({"processes": [named, named], "started_ns": 7}, client)
        assert here.pids == [child.pid]
        assert not client.finished
        client.ended()
        assert here.pids == []
    first, last = client.sent
    assert first == {"state": "attached", "attached": 1, "requested": 1}
    assert last["state"] == "over"
    assert [each["pid"] for each in last["processes"]] == [child.pid]
    assert client.finished
    here.close()


@pytest.mark.parametrize(
    ("processes", "message"),
    [
        (None, "names no process"),
        ([], "names no process"),
        ([5], "names no process"),
        ([{"id": "x"}], "no attached process has the number x"),
        ([{"id": os.getpid(), "start": 1}], "is ub itself"),
        ([{"id": 1 << 30, "start": 1}], "there is no process"),
        ([{"id": os.getppid(), "start": -1}], "has already exited"),
    ],
)
def test_nonsense_is_refused(processes: Any, message: str) -> None:
    here = House("")
    boost = lasting_handlers(lambda: here.supervisor)[BOOST]
    client: Any = _Connection()
    with pytest.raises(UbError, match=message):
        boost({"processes": processes, "children": 1, "started_ns": "x"}, client)
    assert here.pids == []
    assert client.sent == []
    here.close()


def test_an_internal_error_leaves_no_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = House("")
    boost = lasting_handlers(lambda: here.supervisor)[BOOST]
    client: Any = _Connection()

    def broken(pid: int, **options: bool) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(here.device, "attach", broken)
    with running(program(tmp_path, "one")) as (child,):
        named = {"id": child.pid, "start": identify(child.pid).start}
        with pytest.raises(ZeroDivisionError):
            boost({"processes": [named]}, client)
    assert len(here.supervisor._leases) == 0
    here.close()
