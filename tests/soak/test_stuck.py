# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import subprocess
import time

from tests.soak.stuck import describe


def test_all_that_a_process_has_started_is_described() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 600; true"]) as shell:
        try:
            deadline = time.monotonic() + 60
            while "sleep: state S" not in (said := describe(shell.pid)):
                assert time.monotonic() < deadline, said
            first, second = said.splitlines()
            assert first.startswith(f"{shell.pid} sh: state S, ran 0.")
            assert ", waited " in second
        finally:
            subprocess.run(["pkill", "-KILL", "-P", str(shell.pid)], check=True)
    assert describe(shell.pid) == ""
