# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ubypass.bench.server import attachment
from ubypass.bench.server.attachment import Attachment, Figures
from ubypass.errors import UbError


def test_adds_up_processes() -> None:
    figures = Figures.of(
        [
            {
                "pid": 1,
                "calls": 100,
                "dispatched": 60,
                "exits": {"frontier": 3, "work": 1},
                "region": 7,
                "loads": 2,
                "build_seconds": 0.5,
                "first_boost_seconds": 1.5,
                "notes": ["a"],
            },
            {
                "pid": 2,
                "calls": 10,
                "dispatched": 1,
                "exits": {"frontier": 2},
                "regions": [{"number": 3}, {"number": 4}],
                "loads": 1,
                "build_seconds": 0.25,
                "first_boost_seconds": None,
                "notes": ["a", "b"],
            },
        ]
    )
    assert figures == Figures(
        calls=110,
        dispatched=61,
        regions=3,
        loads=3,
        build_s=0.75,
        first_boost_s=1.5,
        exits={"frontier": 5, "work": 1},
        notes=("a", "b"),
    )


def test_knows_nothing_yet() -> None:
    assert Figures.of([]) == Figures()
    assert Figures.of([{"pid": 1, "region": 0, "regions": 4}]).regions == 4
    assert Figures.of([{"pid": 1, "region": 0}]).regions == 0


def test_an_engine_that_cannot_start_is_quoted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(attachment, "socket_path", lambda pid: tmp_path / f"{pid}")
    with pytest.raises(UbError, match=r"has failed: ub: .*no process") as error:
        Attachment([2**22 + 1]).__enter__()
    assert sys.executable not in error.value.message


def test_an_engine_that_is_busy_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def ask(path: Path, question: object) -> object:
        asked.append(question)
        if len(asked) % 3:
            raise TimeoutError
        return {"processes": [{"pid": 7, "calls": 5}]}

    monkeypatch.setattr(attachment, "ask", ask)
    boost = Attachment([2**22 + 1])
    assert boost.figures([7]).calls == 5
    assert len(asked) == 3

    def silent(path: Path, question: object) -> object:
        raise TimeoutError

    monkeypatch.setattr(attachment, "ask", silent)
    with pytest.raises(UbError, match="does not answer"):
        boost.figures([7])


def test_native_sites_come_with_their_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    def site(nr: int, symbol: str, decision: str) -> dict[str, object]:
        return {"address": 64, "nr": nr, "symbol": symbol, "decision": decision}

    sites = [
        site(0, "read+16", "native: its gap is too long"),
        site(1, "write+16", "boosted"),
        site(232, "", "on trial"),
    ]
    answers = {7: {"sites": sites}, 8: {"sites": sites[:2]}}
    monkeypatch.setattr(attachment, "ask", lambda path, request: answers[request["id"]])
    assert Attachment([2**22 + 1]).native_sites([7, 8]) == (
        "read at read+16: its gap is too long",
        "epoll_wait at 0x40: on trial",
    )
