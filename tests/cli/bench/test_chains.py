# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from tests.bench.chains.samples import running
from ubypass.cli import named
from ubypass.cli.bench import chains as bench_chains
from ubypass.errors import UbError


def _run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    bench_chains.configure(parser)
    return bench_chains.run(parser.parse_args(words))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing to capture or replay"),
        (("apache",), "no subject 'apache'"),
        (("--pid", "4194304"), "there is no process"),
        (("--pid", "no-such-one"), "no process has the name 'no-such-one'"),
        (("--pid", "unit:no-such-one"), "is in the unit no-such-one.service"),
        (("--pid", ""), "names no process"),
    ],
)
def test_bad_arguments(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UbError, match=said):
        _run(*words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--calls", "0"), "0 is less than 1"),
        (("--calls", "5000"), "5000 is more than 4096"),
        (("--repetitions", "0"), "0 is less than 1"),
    ],
)
def test_bad_numbers(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        _run("loop", *words)
    assert said in capsys.readouterr().err


def test_captures_saves_and_replays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    options = ("--calls", "8", "--repetitions", "3", "--json", str(out))
    saved = tmp_path / "saved"
    with running("plain") as pid:
        assert _run("--pid", str(pid), "--save", str(saved), *options) == 0
        with pytest.raises(UbError, match="cannot save to"):
            _run("--pid", str(pid), "--save", str(saved), *options)
    (found,) = json.loads(out.read_text())
    assert found["wrong_words"] == 0
    assert found["calls"] == 8
    assert "whole" in capsys.readouterr().out

    folder = saved / f"pid-{pid}"
    assert _run("--replay", str(folder), *options) == 0
    (again,) = json.loads(out.read_text())
    assert again["name"] == found["name"]
    assert again["dispatched"] == found["dispatched"]


def test_all_that_a_name_matches_are_captured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    few = ("--calls", "4", "--repetitions", "2", "--json", str(out))
    with running("plain") as first, running("plain") as second:
        found = [first, 4194304, second]  # one has ended meanwhile
        monkeypatch.setattr(named, "processes", lambda word: found)
        assert _run("--pid", "plain", *few) == 1
    assert "there is no process 4194304" in capsys.readouterr().err
    names = [each["name"] for each in json.loads(out.read_text())]
    assert len(names) == 2
    for name, pid in zip(names, (first, second), strict=True):
        assert f"(process {pid})" in name


def test_a_chain_that_fails_leaves_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    nowhere = ("--replay", str(tmp_path / "nowhere"))
    few = ("--calls", "4", "--repetitions", "2", "--json", str(out))
    with running("plain") as pid:
        assert _run("--pid", str(pid), *nowhere, *few) == 1
    assert "nowhere" in capsys.readouterr().err
    (found,) = json.loads(out.read_text())
    assert found["calls"] == 4
    with pytest.raises(UbError, match="elsewhere"):
        _run(*nowhere, "--replay", str(tmp_path / "elsewhere"))
    assert "nowhere" in capsys.readouterr().err


def test_a_capture_of_another_processor(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    with running("plain") as pid:
        _run(
            "--pid",
            str(pid),
            "--calls",
            "4",
            "--repetitions",
            "2",
            "--save",
            str(saved),
        )
    origin = saved / f"pid-{pid}" / "capture.json"
    data = json.loads(origin.read_text())
    data["features"].append("avx1024")
    data["cpu"] = "Another CPU"
    origin.write_text(json.dumps(data))
    with pytest.raises(UbError, match="another processor, Another CPU"):
        _run("--replay", str(origin.parent))
