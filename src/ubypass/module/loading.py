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
    _system_call("load", _SYS_FINIT_MODULE, fd, b"", 0)


def init_module(data: bytes) -> None:
    """Load the module ``data``. Raises UbError."""
    _system_call("load", _SYS_INIT_MODULE, data, len(data), b"")


def remove_module(name: bytes) -> None:
    """Unload the module ``name``, if unused. Raises UbError."""
    _system_call("unload", _SYS_DELETE_MODULE, name, os.O_NONBLOCK)


def require_root(what: str) -> None:
    """Raise UbError unless root; ``what``: the verb for the message."""
    if os.geteuid() != 0:
        raise UbError(f"no permission to {what} the module", "run as root")


def _system_call(what: str, number: int, *arguments: int | bytes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) == 0:
        return
    code = ctypes.get_errno()
    reason, hint = _REASONS.get(
        code, (os.strerror(code), "the kernel log (dmesg) may have the reason")
    )
    raise UbError(f"cannot {what} the module: {reason}", hint)


_REASONS = {
    errno.EPERM: (
        "the kernel does not permit it",
        "a container, lockdown or module signatures forbid it; see 'ub doctor'",
    ),
    errno.EKEYREJECTED: (
        "the kernel requires signed modules",
        "sign ub.ko with a key that the kernel trusts, or turn off Secure Boot",
    ),
    errno.ENOKEY: (
        "the kernel requires signed modules",
        "sign ub.ko with a key that the kernel trusts, or turn off Secure Boot",
    ),
    errno.ENOEXEC: (
        "it was built for another kernel",
        f"ub module build --kernel {platform.release()}, or dkms autoinstall",
    ),
    errno.EOPNOTSUPP: (
        "this kernel cannot hook system calls as ub requires",
        "use a kernel with ftrace direct calls; see 'ub doctor'",
    ),
    errno.EWOULDBLOCK: (
        "it is in use",
        "stop 'ub run', 'ub attach' and the service first; see 'ub stats'",
    ),
    errno.EBUSY: (
        "it is in use",
        "stop 'ub run', 'ub attach' and the service first; see 'ub stats'",
    ),
}
