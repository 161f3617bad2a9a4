# SPDX-License-Identifier: GPL-2.0-only
"""``ub service``: the daemon in this thread, whoever talks to it in another."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import TunableDevice
from tests.cli.gate import when
from tests.service.played import program, running
from ubypass.cli import session
from ubypass.device.client import Device
from ubypass.device.uapi import Tunable
from ubypass.engine import control

Ub = Callable[..., int]


@pytest.fixture(autouse=True)
def _place(monkeypatch: pytest.MonkeyPatch, control_directory: Path) -> None:
    monkeypatch.setattr(control, "CONTROL_DIRECTORY", control_directory)


class _Daemon:
    """Runs the service, and ``talk`` beside it, until that has returned."""

    def __init__(self, ub: Ub, config: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.ub = ub
        self.config = config
        self.capfd = capfd
        self.said: list[str] = []
        self.printed = ""

    def run(self, talk: Callable[[], object], *options: str) -> int:
        errors: list[BaseException] = []

        def beside() -> None:
            try:
                self.until(lambda: "started" in self.log)
                talk()
            except BaseException as error:
                errors.append(error)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=beside, daemon=True)
        thread.start()
        code = self.ub("service", "run", "--config", self.config, *options)
        thread.join()
        if errors:
            raise errors[0]
        return code

    @property
    def log(self) -> str:
        out, err = self.capfd.readouterr()
        self.printed += out
        self.said += err.splitlines()
        return "\n".join(self.said)

    def output(self) -> str:
        """What was printed since the last time."""
        _ = self.log
        text, self.printed = self.printed, ""
        return text

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, self.said
            time.sleep(0.02)

    def status(self) -> dict[str, Any]:
        self.output()
        assert self.ub("service", "status", "--json") == 0
        answer: dict[str, Any] = json.loads(self.output())
        return answer


@pytest.fixture
def daemon(
    ub: Ub,
    device: TunableDevice,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> _Daemon:
    config = tmp_path / "config.toml"
    config.write_text("[service]\nscan_seconds = 0.1\n")
    return _Daemon(ub, config, capfd)


def _write(daemon: _Daemon, path: Path, more: str = "") -> None:
    daemon.config.write_text(
        f'[service]\nscan_seconds = 0.1\n[[rule]]\nname = "a"\nexe = "{path}"\n{more}'
    )


def test_it_attaches_pauses_resumes_and_leaves_programs_native(
    daemon: _Daemon, device: TunableDevice, tmp_path: Path
) -> None:
    one = program(tmp_path, "one")
    _write(daemon, one)

    def talk() -> None:
        daemon.until(lambda: daemon.status()["processes"] == 1)
        assert daemon.ub("service", "pause") == 0
        assert "until 'ub service resume'" in daemon.output()
        assert daemon.status()["paused_by"] == "operator"
        assert daemon.status()["processes"] == 0
        assert daemon.ub("service", "resume") == 0
        daemon.until(lambda: daemon.status()["processes"] == 1)
        assert daemon.ub("service", "status") == 0
        text = daemon.output()
        assert "1 attached, 0 boosted" in text
        assert "RULE" in text
        assert max(map(len, text.splitlines())) <= 80 + len(str(daemon.config))
        assert daemon.ub("stats") == 0
        assert "one" in daemon.output()

    with running(one) as (child,):
        assert daemon.run(talk) == 0
        assert child.poll() is None
    assert device.detached == [1, 2]
    assert daemon.log.splitlines()[-1].startswith("event=stopped")
    assert list(control.CONTROL_DIRECTORY.glob("service")) == []
    assert list(control.CONTROL_DIRECTORY.glob("*.sock")) == []


def test_it_ends_when_the_module_is_unloaded(
    daemon: _Daemon, device: TunableDevice, tmp_path: Path
) -> None:
    one = program(tmp_path, "one")
    _write(daemon, one)

    asked: list[object] = []
    thread = when(
        lambda: device.observed,
        lambda: asked.append(control.ask_all({"ask": "leave"})),
    )
    with running(one) as (child,):
        assert daemon.ub("service", "run", "--config", daemon.config) == 0
        thread.join()
        assert child.poll() is None
    assert asked == [([{"processes": 1}], [])]
    assert device.detached == [1]
    assert daemon.log.splitlines()[-1].startswith("event=stopped")


def test_reloads_by_word_and_by_signal(
    daemon: _Daemon, device: TunableDevice, tmp_path: Path
) -> None:
    one = program(tmp_path, "one")

    def talk() -> None:
        assert daemon.status()["rules"] == []
        daemon.config.write_text("[limits]\ncpu_percent = 'x'\n")
        assert daemon.ub("service", "reload") == 1
        assert f"ub: {daemon.config}:2: 'cpu_percent' must be a number" in daemon.log
        assert f"{daemon.config}:2" in daemon.status()["config_error"]
        _write(daemon, one, "[tune]\ngap_ns = 1234\n")
        assert daemon.ub("service", "reload") == 0
        assert daemon.output() == "reloaded: 1 rules\n"
        assert daemon.status()["config_error"] is None
        assert device.tuned[Tunable.GAP_NS] == 1234
        _write(daemon, one, '[[rule]]\nname = "b"\nexe = "/b"\n')
        os.kill(os.getpid(), signal.SIGHUP)
        daemon.until(lambda: len(daemon.status()["rules"]) == 2)

    assert daemon.run(talk) == 0
    assert "event=reload-refused" in daemon.log


def test_follows_its_file(daemon: _Daemon, tmp_path: Path) -> None:
    one = program(tmp_path, "one")

    def talk() -> None:
        assert daemon.status()["rules"] == []
        _write(daemon, one)
        daemon.until(lambda: len(daemon.status()["rules"]) == 1)
        daemon.config.write_text("x = 1\n")
        daemon.until(lambda: daemon.status()["config_error"] is not None)
        assert len(daemon.status()["rules"]) == 1

    assert daemon.run(talk, "--follow") == 0
    assert "event=reload-refused" in daemon.log


def test_a_second_one_is_refused(daemon: _Daemon) -> None:
    codes = []

    def talk() -> None:
        # In a thread it can have no signals of its own, and does not come that far.
        codes.append(daemon.ub("service", "run", "--config", daemon.config))

    assert daemon.run(talk) == 0
    assert codes == [69]
    assert 'reason="the service is already running"' in daemon.log


def test_lines_may_be_json(daemon: _Daemon) -> None:
    lines: list[str] = []

    def talk() -> None:
        lines.extend(daemon.log.splitlines())

    assert daemon.run(talk, "--json") == 0
    assert json.loads(lines[0])["event"] == "started"


def test_without_the_module_it_is_one_line(
    ub: Ub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("")
    missing = str(tmp_path / "ub")
    monkeypatch.setattr(session, "Device", lambda: Device(missing))
    assert ub("service", "run", "--config", config) == 69
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("event=unavailable reason=")
    assert "not loaded" in line


def test_a_wrong_configuration_at_the_start(
    ub: Ub, tmp_path: Path, capfd: pytest.CaptureFixture[str], device: TunableDevice
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("\nx = 1")
    assert ub("service", "run", "--config", config) == 78
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("event=configuration-refused reason=")
    assert f"{config}:2: the file has no key 'x'" in line
    assert device.attached == {}


def test_a_configuration_is_checked(
    ub: Ub, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[[rule]]\nuser = "no-such-user"')
    assert ub("service", "check", "--config", config) == 0
    out, err = capfd.readouterr()
    assert out == f"{config} is valid: 1 rules\n"
    assert "no user 'no-such-user'" in err
    config.write_text("rule = 1")
    assert ub("service", "check", "--config", config) == 78
    assert f"{config}:1:" in capfd.readouterr().err


@pytest.mark.parametrize("action", ["status", "pause", "resume", "reload"])
def test_no_service_runs(
    ub: Ub, action: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ub("service", action) == 3
    assert capfd.readouterr().err.startswith("ub: the service is not running\n")


def test_metrics_go_where_options_say(daemon: _Daemon, tmp_path: Path) -> None:
    textfile = tmp_path / "ub.prom"

    def talk() -> None:
        daemon.until(textfile.exists)
        assert "ubypass_up 1.0" in textfile.read_text()

    assert daemon.run(talk, "--textfile", str(textfile)) == 0
    assert "ubypass_up 0.0" in textfile.read_text()


def test_metrics_that_fail_keep_nobody_from_being_boosted(daemon: _Daemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        assert daemon.run(lambda: None, "--listen", taken) == 0
    assert "event=metrics-failed" in daemon.log
    assert daemon.ub("service", "run", "--listen", "x") == 2


def _with_store(daemon: _Daemon, ub: Ub, folder: Path, program: Path) -> Path:
    """A configuration with a store; its directory."""
    keys, place = folder / "keys", folder / "store"
    keys.mkdir()
    place.mkdir(mode=0o755)
    assert ub("store", "keygen", keys) == 0
    _write(
        daemon,
        program,
        f'[store]\nplace = "{place}"\npublic_key = "{keys}/store.pub"\n'
        f'private_key = "{keys}/store.key"\n',
    )
    return place


def test_a_store_is_used_and_counted(daemon: _Daemon, ub: Ub, tmp_path: Path) -> None:
    _with_store(daemon, ub, tmp_path, tmp_path / "none")

    def talk() -> None:
        assert daemon.status()["store"]["hits"] == 0
        assert daemon.ub("service", "status") == 0
        assert "0 translations from it" in daemon.output()
        daemon.config.write_text(daemon.config.read_text() + "timeout_seconds = 0.1\n")
        assert daemon.ub("service", "reload") == 0
        assert "takes effect at the next start" in daemon.log

    assert daemon.run(talk) == 0


def test_a_store_that_cannot_be_used_changes_nothing(
    daemon: _Daemon, device: TunableDevice, ub: Ub, tmp_path: Path
) -> None:
    one = program(tmp_path, "one")
    _with_store(daemon, ub, tmp_path, one).rmdir()

    def talk() -> None:
        daemon.until(lambda: daemon.status()["processes"] == 1)
        assert daemon.status()["store"] is None
        assert "event=store-failed" in daemon.log

    with running(one):
        assert daemon.run(talk) == 0


def test_without_a_store_there_are_no_figures(daemon: _Daemon) -> None:
    def talk() -> None:
        assert daemon.status()["store"] is None
        assert daemon.ub("service", "status") == 0
        assert "translations" not in daemon.output()

    assert daemon.run(talk) == 0
