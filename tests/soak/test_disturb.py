# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.soak.disturb import stop, tell

_LATE = "trap '' INT; sleep 0.3; exec python3 -c 'import signal, time; \
signal.signal(signal.SIGINT, signal.SIG_DFL); time.sleep(600)'"


def test_a_tracer_that_is_told_to_end_before_it_listens_ends() -> None:
    with subprocess.Popen(["sh", "-c", _LATE]) as tracer:
        stop(tracer, 0.05)
        assert tracer.returncode != 0


def test_files_are_written_without_a_seek(tmp_path: Path) -> None:
    # As in tracefs, whose files cannot be positioned.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    tell(pipe, "p:one", os.O_APPEND)
    assert os.read(reading, 100) == b"p:one\n"
    os.close(reading)
    file = tmp_path / "file"
    file.write_text("before\n")
    tell(file, "more", os.O_APPEND)
    assert file.read_text() == "before\nmore\n"
    tell(file, "1", os.O_TRUNC)
    assert file.read_text() == "1\n"
