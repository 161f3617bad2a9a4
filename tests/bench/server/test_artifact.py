# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os

from ubypass.bench.server import artifact


def test_a_cpu_as_nginx_writes_it() -> None:
    # The example of the artifact's README: 16 digits, of which one is the CPU.
    assert int("0010000000000000", 2) == int(artifact.affinity(13), 2)
    assert artifact.affinity(0) == "1"


def test_the_last_cpu_that_may_be_used() -> None:
    assert artifact.pinned_to({0}) == 0
    assert artifact.pinned_to({0, 2, 5}) == 5
    assert artifact.pinned_to() in os.sched_getaffinity(0)


def test_what_is_known_of_its_configuration() -> None:
    lines = {line.strip() for line in artifact.CONF.splitlines()}
    assert {
        "worker_processes 1;",
        "sendfile on;",
        "tcp_nopush on;",
        "gzip on;",
        "keepalive_timeout 65;",
        "types_hash_max_size 2048;",
    } <= lines
    assert artifact.PORT == 8088
