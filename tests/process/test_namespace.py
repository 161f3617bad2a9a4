# SPDX-License-Identifier: GPL-2.0-only
"""Numbers of processes from inside and outside of a PID namespace."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.process import namespace
from ubypass.process.namespace import (
    numbers_here,
    numbers_of,
    own_namespace,
    require_own_proc,
)
from ubypass.process.status import descendants

_NEST = ["unshare", "-pf", "--kill-child", "--mount-proc"]


@pytest.fixture(params=[1, 2])
def nested(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """Namespaces in one another: first processes of each, outermost first."""
    depth: int = request.param
    command = [*_NEST * depth, "sh", "-c", "echo; read line"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        if not child.stdout.readline():
            assert child.stderr is not None
            pytest.skip(f"no namespaces here: {child.stderr.read().decode().strip()}")
        yield list(descendants(child.pid))
        child.kill()


def test_of_a_process_in_our_namespace() -> None:
    assert numbers_of(os.getpid()) == {own_namespace(): os.getpid()}
    require_own_proc()


def test_of_one_that_is_gone() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert numbers_of(child.pid) == {}


def test_of_processes_in_namespaces(nested: list[int]) -> None:
    for depth, pid in enumerate(nested):
        found = numbers_of(pid)
        assert found[own_namespace()] == pid
        own = Path(f"/proc/{pid}/ns/pid").stat().st_ino
        assert found[own] == 1
        assert len(found) == 2 + depth
        # Also those further in are seen from there.
        here = numbers_here(own)
        assert here[1] == pid
        assert set(here.values()) >= set(nested[depth:])
        assert os.getpid() not in here.values()


def test_a_proc_of_another_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace.os, "readlink", lambda path: "1")
    with pytest.raises(UbError, match="another PID namespace"):
        require_own_proc()
