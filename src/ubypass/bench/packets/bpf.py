# SPDX-License-Identifier: GPL-2.0-only
"""BPF maps, programs and links, by bpf(2) only.

Each context manager closes its file descriptor: a program is detached when its link is
closed. Independent of the programs' contents.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator

from ubypass.errors import UbError

__all__ = ["array", "attached", "loaded", "read_value", "socket_map"]

_SYS_BPF = 321  # x86-64
_MAP_CREATE, _MAP_LOOKUP, _PROG_LOAD, _LINK_CREATE = 0, 1, 5, 28
_ARRAY, _XSKMAP = 2, 17  # enum bpf_map_type
_PROG_XDP = 6  # enum bpf_prog_type
_ATTACH_XDP = 37  # enum bpf_attach_type
_GENERIC, _DRIVER = 1 << 1, 1 << 2  # XDP_FLAGS_SKB_MODE, XDP_FLAGS_DRV_MODE
_LOG = 1 << 22  # bytes of the verifier's log, which grows with each turn of a loop

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


@contextlib.contextmanager
def array(value_size: int) -> Iterator[int]:
    """A map with one zeroed value of ``value_size`` bytes; its file descriptor."""
    with _open(_MAP_CREATE, _map(_ARRAY, value_size), "create a map") as fd:
        yield fd


@contextlib.contextmanager
def socket_map() -> Iterator[int]:
    """A map for one AF_XDP socket; its file descriptor."""
    with _open(_MAP_CREATE, _map(_XSKMAP, 4), "create a map of sockets") as fd:
        yield fd


def read_value(fd: int, size: int) -> bytes:
    """The value of an :func:`array` of ``size`` bytes. Raises UbError."""
    key, value = ctypes.c_uint32(0), ctypes.create_string_buffer(size)
    where = struct.pack("=IxxxxQQ", fd, ctypes.addressof(key), ctypes.addressof(value))
    _bpf(_MAP_LOOKUP, where, "read a map")
    return value.raw


@contextlib.contextmanager
def loaded(program: bytes) -> Iterator[int]:
    """Load an XDP program; its file descriptor.

    Raises UbError with the end of the verifier's log if the verifier rejects the
    program.
    """
    code = ctypes.create_string_buffer(program, len(program))
    text = ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(_LOG)

    def attributes(level: int) -> bytes:
        return struct.pack(
            "=IIQQIIQ",
            _PROG_XDP,
            len(program) // 8,
            ctypes.addressof(code),
            ctypes.addressof(text),
            level,
            _LOG if level else 0,
            ctypes.addressof(log) if level else 0,
        )

    try:
        fd = _bpf(_PROG_LOAD, attributes(0), "load an XDP program")
    except UbError as error:
        # Again for the log, which is long and read only after a failure.
        with contextlib.suppress(UbError):
            os.close(_bpf(_PROG_LOAD, attributes(1), ""))
        output = log.value.decode(errors="replace").split("\n")
        why = "; ".join(line for line in output if line and "processed" not in line)
        raise UbError(_joined(error.message, why), error.hint) from error
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def attached(program: int, index: int, driver: bool = False) -> Iterator[None]:
    """Attach the program to device ``index`` of this network namespace.

    In generic mode, behind the driver, or with ``driver`` in the driver.
    """
    mode = _DRIVER if driver else _GENERIC
    where = struct.pack("=IIII", program, index, _ATTACH_XDP, mode)
    with _open(_LINK_CREATE, where, "attach an XDP program"):
        yield


def _map(kind: int, value_size: int) -> bytes:
    return struct.pack("=IIII", kind, 4, value_size, 1)


@contextlib.contextmanager
def _open(command: int, attributes: bytes, what: str) -> Iterator[int]:
    fd = _bpf(command, attributes, what)
    try:
        yield fd
    finally:
        os.close(fd)


def _bpf(command: int, attributes: bytes, what: str) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result: int = _libc.syscall(
        ctypes.c_long(_SYS_BPF), ctypes.c_long(command), buffer, len(attributes)
    )
    if result < 0:
        why = os.strerror(ctypes.get_errno())
        raise UbError(
            f"cannot {what}: {why}",
            "the kernel needs CONFIG_BPF_SYSCALL, and this user CAP_BPF and "
            "CAP_NET_ADMIN; lockdown may forbid it",
        )
    return result


def _joined(message: str, why: str) -> str:
    return f"{message}: {why[-200:]}" if why else message
