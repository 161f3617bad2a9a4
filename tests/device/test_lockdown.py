# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that is locked down takes no code from us, and we say why."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ubypass.lab import kernels
from ubypass.lab.options import LabOptions
from ubypass.lab.run import capture
from ubypass.module.build import build_module

_ROOT = Path(__file__).parents[2]

# The device is open already when the kernel is locked down: that counts for nothing.
_SCRIPT = """
insmod "$1" || exit 90
mountpoint -q /sys/kernel/security || mount -t securityfs none /sys/kernel/security
[ -e /sys/kernel/security/lockdown ] || exit 91
exec 7<>/dev/ub || exit 92
sleep 60 &
echo integrity > /sys/kernel/security/lockdown || exit 93
"$2" -m ubypass.cli.main attach $!
echo "attach $?"
"$2" -c 'import os; os.read(7, 4096)' 2>&1 | tail -n 1
"""


@pytest.mark.guest
def test_lockdown_is_obeyed_and_named() -> None:
    release = kernels.default_release()
    module = build_module(release, _ROOT / "kernel", _ROOT / "build/kernel" / release)
    result = capture(
        ["sh", "-c", _SCRIPT, "sh", str(module), sys.executable],
        LabOptions(environment={"PYTHONPATH": str(_ROOT / "src")}),
    )
    said = result.stdout.decode().splitlines()
    errors = result.stderr.decode()
    assert result.status == 0, (said, errors)
    assert said[0] == "attach 1"
    assert "the kernel is locked down" in errors
    assert "Traceback" not in errors
    assert "Operation not permitted" in said[1]
    assert not result.log_problems
