# SPDX-License-Identifier: GPL-2.0-only
"""Loads and unloads modules by system calls.

Not by ``insmod``, which a rescue system or a container may lack, and whose messages
cannot be turned into clear errors.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform

from ubypass.errors import UbError

__all__ = ["finit_module", "init_module", "remove_module", "require_root"]

_SYS_INIT_MODULE = 175
_SYS_FINIT_MODULE = 313
_SYS_DELETE_MODULE = 176


def finit_module(fd: int) -> None:
    """Load the module in the open file ``fd``. Raises UbError."""
    if code := _error_of(_SYS_FINIT_MODULE, fd, b"", 0):
        raise _failure("load", code)


def init_module(data: bytes) -> None:
    """Load the module ``data``. Raises UbError."""
    if code := _error_of(_SYS_INIT_MODULE, data, len(data), b""):
        raise _failure("load", code)


def remove_module(name: bytes) -> bool:
    """Unload the module ``name``; False: it is in use. Raises UbError.

    True also if it is not loaded, perhaps since somebody else was faster.
    """
    code = _error_of(_SYS_DELETE_MODULE, name, os.O_NONBLOCK)
    if code in (errno.EWOULDBLOCK, errno.EBUSY):
        return False
    if code and code != errno.ENOENT:
        raise _failure("unload", code)
    return True


def require_root(what: str) -> None:
    """Raise UbError unless root; ``what``: the verb for the message."""
    if os.geteuid() != 0:
        raise UbError(f"no permission to {what} the module", "run as root")


def _error_of(number: int, *arguments: int | bytes) -> int:
    """Make the system call; its errno, 0: none."""
    libc = ctypes.CDLL(None, use_errno=True)
    return ctypes.get_errno() if libc.syscall(number, *arguments) else 0


def _failure(what: str, code: int) -> UbError:
    reason, hint = _REASONS.get(
        code, (os.strerror(code), "the kernel log (dmesg) may have the reason")
    )
    return UbError(f"cannot {what} the module: {reason}", hint)


_REASONS = {
    errno.EPERM: (
        "the kernel does not permit it",
        "a container, lockdown or module signatures forbid it; see 'ub doctor'",
    ),
    errno.EKEYREJECTED: (
        "the kernel requires signed modules",
        "see 'lockdown' and 'signatures' of 'ub doctor'",
    ),
    errno.ENOKEY: (
        "the kernel requires signed modules",
        "see 'lockdown' and 'signatures' of 'ub doctor'",
    ),
    errno.ENOEXEC: (
        "it was built for another kernel",
        f"ub module build --kernel {platform.release()}, or dkms autoinstall",
    ),
    errno.EOPNOTSUPP: (
        "this kernel cannot hook system calls as ub requires",
        "use a kernel with ftrace direct calls; see 'ub doctor'",
    ),
    errno.EBUSY: ("it is being loaded or unloaded", "try again in a moment"),
}
