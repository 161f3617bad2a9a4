# SPDX-License-Identifier: GPL-2.0-only
"""Containers of Docker in the guest, and a rule of the service for one of their labels.

Docker's own filter of system calls confines them.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.guest.boost import NotBoosted
from tests.guest.served import CONFIG, USER, daemon
from tests.guest.waiting import wait
from ubypass.engine.control import ask_all

__all__ = ["LABEL", "labelled"]

LABEL = "org.example.tier=db"
_NO_NETWORK = ("--iptables=false", "--ip6tables=false", "--bridge=none")
_STATE = "/var/lib/docker"
_IMAGE = "tiny"
_COPY = ("/busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=64")
_RULE = f"""
[[rule]]
name = "by-label"
label = "{LABEL}"
"""


def labelled() -> dict[str, Any]:
    """Two containers run the same program, and one of them has the label."""
    config = CONFIG.format(exe="/nothing", user=USER) + _RULE
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as directory,
        _docker(Path(directory)),
        _container(f"--label={LABEL}") as wanted,
        _container("--label=org.example.tier=web") as other,
    ):
        file = Path(directory, "config.toml")
        file.write_text(config)
        with daemon(file, Path(directory, "ub.prom")) as served:
            if not wait(lambda: _dispatched().get(wanted, 0) > 1000):
                raise NotBoosted(f"ub service: {served.poll()}, {_dispatched()}")
            return {
                "wanted": wanted,
                "other": other,
                "filters": _filters(wanted),
                "attached": sorted(_dispatched()),
            }


@contextlib.contextmanager
def _docker(directory: Path) -> Iterator[None]:
    """Docker, with an image that has one program."""
    # Nothing of a Docker that this machine may have.
    Path(_STATE).mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", _STATE], check=True)
    # With vfs an image needs no file system of the kernel's.
    words = ["dockerd", *_NO_NETWORK, "--storage-driver=vfs"]
    with (
        (directory / "docker").open("w") as log,
        subprocess.Popen(words, stdout=log, stderr=log) as process,
    ):
        try:
            wait(lambda: process.poll() is not None or _answers(), look=0.5)
            if not _answers():
                raise RuntimeError((directory / "docker").read_text()[-2000:])
            files = subprocess.run(
                ["tar", "-C", "/bin", "-c", "busybox"], capture_output=True, check=True
            )
            _said("docker", "import", "-", _IMAGE, given=files.stdout)
            yield
        finally:
            process.terminate()
            process.wait()
            subprocess.run(["umount", _STATE], check=True)


@contextlib.contextmanager
def _container(*options: str) -> Iterator[int]:
    """A running container; the number of its program."""
    name = _said("docker", "run", "-d", "--network=none", *options, _IMAGE, *_COPY)
    try:
        yield int(_said("docker", "inspect", "-f", "{{.State.Pid}}", name))
    finally:
        _said("docker", "rm", "-f", name)


def _dispatched() -> dict[int, int]:
    """Dispatched calls by the number of each attached process."""
    answers, _ = ask_all({"ask": "stats"})
    return {
        process["pid"]: process["dispatched"]
        for answer in answers
        for process in answer["processes"]
    }


def _filters(pid: int) -> int:
    """The number of filters of its system calls."""
    status = Path(f"/proc/{pid}/status").read_text()
    (found,) = re.findall(r"^Seccomp_filters:\s*(\d+)$", status, re.MULTILINE)
    return int(found)


def _said(*words: str, given: bytes = b"") -> str:
    done = subprocess.run(words, input=given, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.decode()}")
    return done.stdout.decode().strip()


def _answers() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True).returncode == 0
