# SPDX-License-Identifier: GPL-2.0-only
"""System calls that can be repeated any number of times, one of each kind."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ubypass.calibrate.figures import Kind

__all__ = ["Call", "calls"]

# Numbers of x86-64; the last one is beyond the system calls of any kernel.
_PREAD, _WRITE, _SENDTO, _GETPPID, _NO_CALL = 17, 1, 44, 110, 1000
_MSG_DONTWAIT, _MSG_NOSIGNAL = 0x40, 0x4000


@dataclass(frozen=True, slots=True)
class Call:
    """``number`` of the call, and its first arguments, integers of 64 bits."""

    number: int
    arguments: tuple[int, ...] = ()


@contextmanager
def calls() -> Iterator[Mapping[Kind, Call]]:
    """The calls with their arguments, valid in the ``with`` block; kinds that fail here
    are left out. Raises OSError if files cannot be opened.
    """
    buffer = ctypes.create_string_buffer(64)
    where = ctypes.addressof(buffer)
    with ExitStack() as stack:
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        stack.callback(os.close, null)
        file = os.memfd_create("ubypass-read", os.MFD_CLOEXEC)
        stack.callback(os.close, file)
        os.write(file, bytes(4096))
        found = {
            Kind.EMPTY: Call(_NO_CALL),
            Kind.GETPPID: Call(_GETPPID),
            Kind.WRITE: Call(_WRITE, (null, where, 1)),
            Kind.PREAD: Call(_PREAD, (file, where, 1, 0)),
        }
        sender = _sender(stack)
        if sender is not None:
            flags = _MSG_DONTWAIT | _MSG_NOSIGNAL
            found[Kind.SEND] = Call(_SENDTO, (sender, where, 1, flags, 0, 0))
        yield found
        del buffer  # lives until here


def _sender(stack: ExitStack) -> int | None:
    """A socket that sends to another one, which drops packets beyond its small queue;
    None without a loopback interface, as in a new network namespace.
    """
    try:
        receiver = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        receiver.bind(("127.0.0.1", 0))
        sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sender.connect(receiver.getsockname())
        sender.send(b"\0")
    except OSError:
        return None
    return sender.fileno()
