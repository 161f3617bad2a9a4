# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
import os

import pytest

from tests.service.played import House
from ubypass.errors import UbError
from ubypass.service.requests import handlers, status


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
