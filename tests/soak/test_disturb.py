# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import subprocess

from tests.soak.disturb import stop

_LATE = "trap '' INT; sleep 0.3; exec python3 -c 'import signal, time; \
signal.signal(signal.SIGINT, signal.SIG_DFL); time.sleep(600)'"


def test_a_tracer_that_is_told_to_end_before_it_listens_ends() -> None:
    with subprocess.Popen(["sh", "-c", _LATE]) as tracer:
        stop(tracer, 0.05)
        assert tracer.returncode != 0
