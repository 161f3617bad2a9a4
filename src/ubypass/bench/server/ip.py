# SPDX-License-Identifier: GPL-2.0-only
"""ip(8), which sets up network devices; independent of what they are for."""

from __future__ import annotations

from ubypass import child
from ubypass.bench.server.process import needs
from ubypass.errors import UbError

__all__ = ["ip"]


def ip(*words: str, what: str, hint: str = "") -> None:
    """Run ``ip`` with ``words``.

    Raises UbError with its output if it cannot do ``what``; ``hint`` is the remedy.
    """
    done = child.run([needs("ip", "iproute2"), *words], capture_output=True, text=True)
    if done.returncode != 0:
        output = " ".join(done.stderr.split())
        raise UbError(f"cannot {what}: {output}", hint)
