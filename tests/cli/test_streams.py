# SPDX-License-Identifier: GPL-2.0-only
"""Whatever the standard streams are, printing works."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from ubypass.cli import main, streams

_LATIN = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
_ENCODINGS = [
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", **_LATIN},
    {"LC_ALL": "C"},
]


def _ub(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "ubypass.cli.main", *words],
        capture_output=True,
        env={**os.environ, **environment},
        timeout=120,
    )


@pytest.mark.parametrize("environment", _ENCODINGS, ids=str)
@pytest.mark.parametrize(
    "words", [["doctor"], ["doctor", "--json"], *([v, "--help"] for v in main.VERBS)]
)
def test_every_encoding_will_do(words: list[str], environment: dict[str, str]) -> None:
    done = _ub(*words, **environment)
    assert done.returncode in (0, 1)
    if environment != {"LC_ALL": "C"}:  # which Python takes for UTF-8
        assert done.stdout.isascii()
    assert b"Error" not in done.stderr
    assert b"\\u" not in done.stdout


@pytest.mark.parametrize("environment", _ENCODINGS, ids=str)
def test_names_that_cannot_be_encoded(environment: dict[str, str]) -> None:
    for name in (os.fsdecode(b"/no/\xff\xfe"), "/no/\u6f22\u5b57"):
        done = _ub("translate", name, "main", **environment)
        assert done.returncode == 1
        assert done.stderr.startswith(b"ub: cannot read /no/")


def test_a_name_that_is_no_text_on_a_terminal_that_speaks_utf_8() -> None:
    name = os.fsdecode(b"/no/\xff")
    done = _ub("translate", name, "main", PYTHONIOENCODING="utf-8")
    assert done.stderr.startswith(b"ub: cannot read /no/\\xff: No such file")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m ubypass.cli.main doctor {closed}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (0, 1)
    assert "error" not in done.stderr


def test_output_that_cannot_be_written() -> None:
    for words in ("--help", "stats --help", "--version", "stats --json"):
        done = subprocess.run(
            ["sh", "-c", f"{sys.executable} -m ubypass.cli.main {words} >/dev/full"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 1
        assert done.stderr == (
            "ub: cannot write the output: No space left on device\n"
            "    free some space\n"
        )


def test_plain_words_for_what_a_stream_lacks() -> None:
    streams.prepare()
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1", errors=streams.ERRORS)
    stream.write("a → b… \u6f22 é")
    stream.flush()
    assert raw.getvalue() == b"a -> b... \\u6f22 \xe9"
    assert not streams.speaks_unicode(stream)
