# SPDX-License-Identifier: GPL-2.0-only
"""Tells systemd how the service is, as ``sd_notify(3)`` does."""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["notify"]


def notify(**facts: str) -> None:
    """Send ``READY="1"``, ``STATUS="..."`` and the like; without systemd, nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    if address[0] == "@":
        address = f"\0{address[1:]}"  # of the abstract name space
    text = "\n".join(f"{key}={' '.join(value.split())}" for key, value in facts.items())
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
    ):
        out.setblocking(False)
        out.sendto(text.encode(), address)
