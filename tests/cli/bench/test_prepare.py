# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from ubypass.bench import modules, workloads
from ubypass.bench.server import tarball
from ubypass.cli.bench import prepare


@pytest.mark.parametrize("words", [(), ("--redis", "redis-6.2.6.tar.gz")])
def test_prepares_what_is_asked_for(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(workloads, "build_workloads", lambda: done.append("workloads"))
    monkeypatch.setattr(
        modules, "build_bench_module", lambda release, report: done.append(release)
    )
    monkeypatch.setattr(
        tarball, "build_redis", lambda file, report: done.append(str(Path(file)))
    )
    parser = argparse.ArgumentParser()
    prepare.configure(parser)
    assert prepare.run(parser.parse_args([*words, "--kernel", "6.1.0-1-amd64"])) == 0
    assert done == [*words[1:], "workloads", "6.1.0-1-amd64"]
