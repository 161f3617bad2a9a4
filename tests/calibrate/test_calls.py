# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import ctypes
import errno
import os
import socket

import pytest

from tests.open_files import open_files
from ubypass.calibrate.calls import Call, calls
from ubypass.calibrate.figures import Kind

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _make(call: Call) -> tuple[int, int]:
    """Result and errno of the C library."""
    ctypes.set_errno(0)
    words = [ctypes.c_long(value) for value in (call.number, *call.arguments)]
    return _libc.syscall(*words), ctypes.get_errno()


def test_each_does_what_it_is_for() -> None:
    with calls() as found:
        wanted = {
            Kind.EMPTY: (-1, errno.ENOSYS),
            Kind.GETPPID: (os.getppid(), 0),
            Kind.WRITE: (1, 0),
            Kind.PREAD: (1, 0),
            Kind.SEND: (1, 0),
        }
        assert set(found) | {Kind.SEND} == set(Kind)
        for kind, call in found.items():
            assert _make(call) == wanted[kind]


def test_a_queue_that_is_full_is_no_end() -> None:
    with calls() as found:
        if Kind.SEND not in found:
            pytest.skip("there is no loopback here")
        assert {_make(found[Kind.SEND]) for _ in range(3000)} == {(1, 0)}


def test_everything_is_closed_afterwards() -> None:
    before = open_files()
    with calls():
        opened = open_files() - before
        assert opened
    assert not open_files() & opened


def test_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "no loopback")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with calls() as found:
        assert set(found) == set(Kind) - {Kind.SEND}
