# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from ubypass.bench.server import process
from ubypass.errors import UbError

_LISTEN = (
    "import socket, sys, time; s = socket.create_server(('127.0.0.1', "
    "int(sys.argv[1]))); time.sleep(60)"
)


def test_starts_when_it_listens_and_ends_with_the_block(tmp_path: Path) -> None:
    port = process.free_port()
    command = [sys.executable, "-c", _LISTEN, str(port)]
    with process.started(command, port, tmp_path) as pid:
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_is_not_asked_before_it_can_be_reached(tmp_path: Path) -> None:
    port = process.free_port()
    looks = iter([False, False, True])
    command = [sys.executable, "-c", _LISTEN, str(port)]
    with process.started(
        command, port, tmp_path, reachable=lambda: next(looks, True)
    ) as pid:
        assert next(looks, None) is None
        os.kill(pid, 0)


def test_what_a_server_says_that_does_not_start(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no luck')"]
    with (
        pytest.raises(UbError, match="does not start: no luck"),
        process.started(command, process.free_port(), tmp_path),
    ):
        pass


def test_a_load_to_its_end() -> None:
    assert process.output_of(["echo", "3"]) == "3\n"
    with pytest.raises(UbError, match="sh has failed: bad"):
        process.output_of(["sh", "-c", "echo bad >&2; exit 1"])


def test_a_load_until_it_is_interrupted() -> None:
    # Not before it is ready for that.
    script = "sleep 0.2; trap 'echo done; exit 0' INT; while :; do sleep 0.01; done"
    assert process.output_until(["sh", "-c", script], 0.3) == "done\n"
    with pytest.raises(UbError, match="sh has failed: early"):
        process.output_until(["sh", "-c", "echo early; exit 1"], 0.1)


def test_a_load_is_interrupted_by_who_ignores_interrupts() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a shell's background
    try:
        script = "trap 'echo done; exit 0' INT; while :; do sleep 0.01; done"
        assert process.output_until(["sh", "-c", script], 0.1) == "done\n"
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_load_without_end() -> None:
    begun = time.monotonic()
    with process.running(["sleep", "60"]):
        pass
    assert time.monotonic() - begun < 30
    with (
        pytest.raises(UbError, match="ended unexpectedly"),
        process.running(["false"]),
    ):
        time.sleep(0.5)


def test_a_home_that_others_may_read_and_that_vanishes() -> None:
    with process.home("test") as directory:
        assert directory.stat().st_mode & 0o777 == 0o755
        (directory / "file").write_text("x")
    assert not directory.exists()


def test_the_version_that_a_program_prints() -> None:
    said = ["sh", "-c", "echo 'program: x/1.22.1 (6.1)' >&2"]
    assert process.version_of("x", said) == "x 1.22.1"
    assert process.version_of("x", ["echo", "7 of these"]) == ""
    assert process.version_of("x", ["sh", "-c", "echo 1.2; exit 1"]) == ""


def test_a_port_that_is_taken() -> None:
    port = process.free_port()
    process.must_be_free(port)
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(UbError, match=f"port {port} is taken") as error:
            process.must_be_free(port)
        assert f":{port}" in error.value.hint
    process.must_be_free(port)


def test_a_program_that_is_not_installed() -> None:
    with pytest.raises(UbError, match="nosuch is not installed") as error:
        process.needs("nosuch", "some-package")
    assert error.value.hint == "apt install some-package"
