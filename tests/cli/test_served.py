# SPDX-License-Identifier: GPL-2.0-only
"""``ub run`` and ``ub attach`` while a service runs: it boosts, the command waits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import TunableDevice
from tests.cli.gate import Gate, when
from tests.service.played import House, serving
from ubypass.abi import ExitReason
from ubypass.cli import served
from ubypass.device.types import Event, Stats
from ubypass.device.uapi import EventType
from ubypass.errors import UbError
from ubypass.process import status

Ub = Callable[..., int]


class Service:
    """A played daemon; its own device has nothing of the commands' one."""

    def __init__(self, directory: Path) -> None:
        self.house = House("")
        self.device = self.house.device
        self._serving = serving(self.house, directory)
        self._stop: threading.Event = self._serving.__enter__()

    def stop(self) -> None:
        """End it, in order."""
        self._stop.set()

    def close(self) -> None:
        self._serving.__exit__(None, None, None)
        self.house.close()


@pytest.fixture
def service(device: TunableDevice, control_directory: Path) -> Iterator[Service]:
    control_directory.mkdir(mode=0o700)
    service = Service(control_directory)
    yield service
    service.close()


@pytest.mark.parametrize(
    ("command", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_the_service_boosts_and_the_exit_code_is_the_programs(
    device: TunableDevice, service: Service, ub: Ub, command: str, code: int
) -> None:
    assert ub("run", "-q", "--", "sh", "-c", command) == code
    assert len(service.device.attached) == 1
    when(lambda: len(service.device.detached) == 1, lambda: None).join(60)
    assert len(service.device.detached) == 1
    assert not device.attached


def test_it_is_attached_before_it_does_anything(
    service: Service, ub: Ub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "began"
    seen = []
    attach = service.device.attach

    def late(pid: int, *, children: bool = False, trusted: bool = False) -> int:
        time.sleep(0.3)
        seen.append(mark.exists())
        return attach(pid, children=children)

    monkeypatch.setattr(service.device, "attach", late)
    monkeypatch.setattr(served, "_PATIENCE", 60.0)
    assert ub("run", "-q", "--", "touch", mark) == 0
    assert seen == [False]
    assert mark.exists()


def test_a_busy_service_holds_no_program_up(
    service: Service,
    ub: Ub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It is attached later."""
    mark = tmp_path / "began"
    attach = service.device.attach

    def late(pid: int, *, children: bool = False, trusted: bool = False) -> int:
        end = time.monotonic() + 60
        while not mark.exists() and time.monotonic() < end:
            time.sleep(0.01)
        return attach(pid, children=children)

    monkeypatch.setattr(service.device, "attach", late)
    monkeypatch.setattr(served, "_PATIENCE", 0.1)
    assert ub("run", "--", "sh", "-c", f"touch {mark}; sleep 1") == 0
    assert len(service.device.attached) == 1
    assert "the service is busy" in capfd.readouterr().err


def test_the_summary_has_the_figures_of_the_service(
    service: Service,
    ub: Ub,
    gate: Gate,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    gate.open_when(lambda: service.device.observed)
    service.device.counters = Stats(
        native=1, dispatched=99, runs=2, exits={ExitReason.FAULT: 2}, first_run_ns=1
    )
    file = tmp_path / "summary.json"
    script = f"{gate.shell}; exit 4"
    words = ["run", "--json", "--summary-file", file, "--", "sh", "-c", script]
    assert ub(*words) == 4
    data = json.loads(file.read_text())
    assert json.loads(capfd.readouterr().err) == data
    assert data["by_service"] is True
    assert (data["exit_code"], data["left_out"]) == (4, 0)
    assert data["engine_peak_bytes"] > 1 << 20
    (process,) = data["processes"]
    assert process["bypass_rate"] == 0.99
    assert ub("run", "--", "true") == 0
    assert "of the service, " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--own-engine"], False),
        (["--cap", "regions=2"], True),
        (["--tune", "hot_calls=7"], True),
        (["-q", "--trust"], False),
    ],
)
def test_an_engine_of_its_own_if_wanted(
    device: TunableDevice,
    service: Service,
    ub: Ub,
    capfd: pytest.CaptureFixture[str],
    options: list[str],
    message: bool,
) -> None:
    assert ub("run", *options, "--", "true") == 0
    said = f"{options[0]} needs an engine of its own" in capfd.readouterr().err
    assert said == message
    assert len(device.attached) == 1
    assert not service.device.attached


def test_a_pause_leaves_it_native(
    service: Service, ub: Ub, capfd: pytest.CaptureFixture[str]
) -> None:
    service.house.supervisor.pause()
    assert ub("run", "--", "sh", "-c", "exit 7") == 7
    assert not service.device.attached
    said = capfd.readouterr().err
    assert "the service is paused; natively until 'ub service resume'" in said
    assert "the service attached no process" in said


def test_what_a_rule_excludes_runs_natively(
    service: Service, ub: Ub, capfd: pytest.CaptureFixture[str]
) -> None:
    service.house.text = '[[rule]]\nname = "no"\nuser = "root"\nboost = false\n'
    service.house.text += 'cgroup = "*"\n' if os.geteuid() == 0 else ""
    user = os.geteuid()
    service.house.text = service.house.text.replace('"root"', f'"{user}"')
    service.house.supervisor.reload()
    assert ub("run", "--", "sh", "-c", "exit 7") == 7
    assert "the rule 'no' of the service keeps" in capfd.readouterr().err
    with subprocess.Popen(["sleep", "60"]) as child:
        assert ub("attach", child.pid) == 1
        assert "--own-engine" in capfd.readouterr().err
        child.kill()
    assert not service.device.attached


def test_the_death_of_the_service_leaves_a_native_program(
    service: Service, ub: Ub, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(served, "say", said.append)
    stopper = when(lambda: service.device.observed, service.stop)
    gate.open_when(lambda: said)
    assert ub("run", "--", "sh", "-c", f"{gate.shell}; exit 5") == 5
    stopper.join()
    assert said == ["the service has ended; the program continues natively"]


def test_a_program_that_cannot_start(
    service: Service, ub: Ub, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ub("run", "--", "/no/such/program") == 127
    assert "not found" in capfd.readouterr().err
    assert not service.device.attached


def test_a_request_to_end_is_passed_on(
    service: Service, ub: Ub, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    script = f"trap 'exit 6' TERM; : > '{ready}'; while :; do sleep 0.05; done"
    thread = when(
        lambda: service.device.observed and ready.exists(),
        lambda: os.kill(os.getpid(), signal.SIGTERM),
    )
    assert ub("run", "-q", "--", "bash", "-c", script) == 6
    thread.join()


def test_a_bug_does_not_affect_the_program(
    service: Service,
    ub: Ub,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from ubypass.service.client import Client

    def broken(self: Client, *processes: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Client, "begin", broken)
    assert ub("run", "--", "sh", "-c", "exit 8") == 8
    assert "internal error: ZeroDivisionError" in capfd.readouterr().err


def _tell_of_children(service: Service) -> threading.Thread:
    """Play the module: say that there is a child as soon as there is one."""

    def tell() -> None:
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            for proc, pid in list(service.device.attached.items()):
                for child in status.descendants(pid):
                    service.device.send(Event(EventType.FORK, proc, target=child))
                    return
            time.sleep(0.005)

    thread = threading.Thread(target=tell)
    thread.start()
    return thread


def test_what_the_command_leaves_behind_is_boosted_until_it_ends(
    service: Service, ub: Ub, capfd: pytest.CaptureFixture[str]
) -> None:
    thread = _tell_of_children(service)
    began = time.monotonic()
    script = "sleep 1.5 >/dev/null 2>&1 & sleep 0.4; exit 3"
    assert ub("run", "--children", "--", "sh", "-c", script) == 3
    thread.join()
    assert time.monotonic() - began >= 1.5
    said = capfd.readouterr().err
    assert "sh has ended; some of its processes still run, boosted" in said


def test_a_process_is_boosted_until_ctrl_c(
    device: TunableDevice, service: Service, ub: Ub, capfd: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        thread = when(
            lambda: service.device.observed,
            lambda: (time.sleep(0.3), os.kill(os.getpid(), signal.SIGINT)),
        )
        assert ub("attach", child.pid) == 0
        thread.join()
        assert child.poll() is None
        assert len(service.device.detached) == 1
        said = capfd.readouterr().err
        assert f"the service boosts {child.pid} (sleep); Ctrl-C detaches" in said
        child.kill()
    assert not device.attached


def test_attach_ends_with_its_processes(service: Service, ub: Ub) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        thread = when(lambda: service.device.observed, child.kill)
        assert ub("attach", "-q", child.pid) == 0
        thread.join()


def test_attach_ends_when_an_operator_releases_them(
    service: Service, ub: Ub, capfd: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:

        def release() -> None:
            while True:
                try:
                    service.house.supervisor.release(child.pid)
                    return
                except UbError:
                    time.sleep(0.01)

        thread = when(lambda: service.house.engine.targets, release)
        assert ub("attach", child.pid) == 0
        thread.join()
        assert "detached by an operator" in capfd.readouterr().err
        assert child.poll() is None
        child.kill()


def test_attach_is_an_error_once_the_service_has_ended(
    service: Service, ub: Ub, capfd: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        thread = when(lambda: service.device.observed, service.stop)
        assert ub("attach", child.pid) == 1
        thread.join()
        assert "the service has ended; natively from now on" in capfd.readouterr().err
        assert child.poll() is None
        child.kill()
