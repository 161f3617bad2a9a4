# SPDX-License-Identifier: GPL-2.0-only
"""What can be said without the lab of what runs there."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.pictures import openmetrics, session
from ubypass.errors import UbError
from ubypass.service.config import parse


def _published(file: Path, when: float) -> None:
    new = file.with_suffix(".new")
    new.write_text(f"ubypass_updated_timestamp_seconds {when}\nubypass_up 1\n")
    new.replace(file)


def test_figures_are_kept_once_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LOOK", 0.01)
    file = tmp_path / "ub.prom"
    _published(file, 100.0)
    recorder = session.Recorder(file)
    recorder.start()
    end = time.monotonic() + 60
    while len(recorder.samples) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    _published(file, 105.0)
    while len(recorder.samples) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    recorder.stop()
    openmetrics.write(tmp_path / "f.om", recorder.samples)
    assert openmetrics.span(tmp_path / "f.om") == (100.0, 105.0)
    assert len(recorder.samples) == 4
    name = "ubypass_updated_timestamp_seconds"
    assert session.figure(recorder.text, name) == 105
    assert session.figure(recorder.text, name, rule="redis") == 0


def test_the_configuration_is_right_and_the_wrong_one_wrong() -> None:
    text = session.configuration("/usr/bin/dd", "/usr/bin/redis", "/usr/sbin/nginx")
    found = parse(text)
    assert [rule.name for rule in found.rules] == ["traced", "copy", "redis", "web"]
    with pytest.raises(UbError):
        parse(text + session.WRONG)


def test_a_link_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "redis-check-rdb"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "redis-server").symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert session.executed("redis-server") == str(program)
    with pytest.raises(SystemExit, match="no nothing"):
        session.executed("nothing")


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ("    145 redis-server         26       0   0.0%        -   1", False),
        ("    145 redis-server       1234      31   2.5%        -   1", True),
        ("    145 redis-server       12 k   9.1 k  75.8%   1.2 ms   1", True),
        ("    145 redis-server       12 k       0   0.0%        -   1", False),
    ],
)
def test_redis_with_a_rate_is_waited_for(row: str, shown: bool) -> None:
    assert bool(re.search(session.TOP, row)) == shown
