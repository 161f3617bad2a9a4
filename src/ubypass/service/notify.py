# SPDX-License-Identifier: GPL-2.0-only
"""Reports the state of the service to systemd, as ``sd_notify(3)`` does."""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["notify"]


def notify(**facts: str) -> None:
    """Send assignments such as ``READY="1"``; does nothing without systemd."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    if address[0] == "@":
        address = f"\0{address[1:]}"  # abstract socket address
    text = "\n".join(f"{key}={' '.join(value.split())}" for key, value in facts.items())
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
    ):
        out.setblocking(False)
        out.sendto(text.encode(), address)
