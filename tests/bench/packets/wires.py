# SPDX-License-Identifier: GPL-2.0-only
"""Whether this machine lets tests have network namespaces of their own."""

from __future__ import annotations

import subprocess

import pytest

__all__ = ["needs_wires"]


def _may() -> bool:
    command = ["unshare", "-n", "ip", "link", "add", "ub0", "type", "veth"]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


needs_wires = pytest.mark.skipif(
    not _may(), reason="no network namespaces or virtual wires for this user"
)
