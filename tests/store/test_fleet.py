# SPDX-License-Identifier: GPL-2.0-only
"""A thousand machines start the same program: one translates, and load is bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.fleet import Fleet, new_signer, simulate
from tests.store.server import ACCESS, REGION, SECRET, serving
from ubypass.store.http import Http, s3_signature

_MACHINES = 1000


def test_a_thousand_machines_translate_once() -> None:
    report = simulate(_MACHINES, jitter=5.0)
    assert (report.made, report.published) == (1, 1)
    assert (report.hits, report.refused) == (_MACHINES - 1, 0)
    # Who comes first asks for the translation, claims it, and publishes; the others
    # ask once, or a few times while they wait.
    assert max(report.requests) <= 8
    assert sum(report.requests) <= 1.1 * _MACHINES
    assert report.peak <= 2 * _MACHINES / 5
    assert max(report.first_boost) <= 1.0


def test_all_at_the_same_time() -> None:
    report = simulate(300, jitter=0.0)
    assert (report.made, report.published) == (1, 1)
    # Question, claim, and one question more; who publishes makes four requests.
    assert report.peak <= 3 * 300 + 1


def test_the_machine_that_claims_dies() -> None:
    report = simulate(300, jitter=5.0, lose_first=True)
    assert (report.made, report.published) == (2, 1)
    assert max(report.requests) <= 8
    assert max(report.first_boost) <= 2.0 + 0.05


@pytest.mark.parametrize("one_writer_in", [20])
def test_machines_that_only_read_wait_for_those_that_write(one_writer_in: int) -> None:
    report = simulate(300, jitter=5.0, one_writer_in=one_writer_in)
    assert report.published == 1
    # Before the first machine with the key, each one makes its own.
    assert 1 <= report.made <= 150
    assert report.hits == 300 - report.made


@pytest.mark.parametrize("signed", [False, True])
def test_through_a_real_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signed: bool
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with serving(signed=signed) as server:
        store = Http(server.url, s3_signature(REGION) if signed else None)
        fleet = Fleet(store, new_signer(tmp_path), 20, really=True)
        report = fleet.run()
        assert (report.made, report.published) == (1, 1)
        assert (report.hits, report.refused) == (19, 0)
        assert len(server.requests) == sum(report.requests)
