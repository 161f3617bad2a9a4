# SPDX-License-Identifier: GPL-2.0-only
"""A store behind a real HTTP server, friendly or not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.server import ACCESS, REGION, SECRET, Objects, serving
from ubypass.errors import UbError
from ubypass.store.backend import StoreError
from ubypass.store.http import Http, s3_signature
from ubypass.store.wire import MOST_BYTES

_NAME = "ab" + "0" * 62
_LONG = 600.0  # seconds: ends what hangs only


@pytest.fixture
def server() -> Iterator[Objects]:
    with serving() as objects:
        yield objects


def test_what_is_put_is_there(server: Objects) -> None:
    store = Http(server.url)
    assert store.get(_NAME, _LONG) is None
    assert store.put(_NAME, b"one", _LONG, if_absent=True)
    assert not store.put(_NAME, b"two", _LONG, if_absent=True)
    assert Http(server.url + "/").get(_NAME, _LONG) == b"one"
    assert store.put(_NAME, b"three", _LONG, if_absent=False)
    assert server.stored == {f"/bucket/ab/{_NAME}": b"three"}


@pytest.mark.parametrize("mode", ["error", "redirect"])
def test_other_answers_are_failures(server: Objects, mode: str) -> None:
    server.mode = mode
    store = Http(server.url)
    with pytest.raises(StoreError, match="status"):
        store.get(_NAME, _LONG)
    with pytest.raises(StoreError, match="status"):
        store.put(_NAME, b"x", _LONG, if_absent=True)


def test_a_server_that_hangs_is_left(server: Objects) -> None:
    server.mode = "hang"
    with pytest.raises(StoreError):
        Http(server.url).get(_NAME, 0.05)


def test_an_answer_without_end_is_cut_off(server: Objects) -> None:
    server.mode = "endless"
    data = Http(server.url).get(_NAME, _LONG)
    assert data is not None
    assert len(data) == MOST_BYTES + 4096


def test_no_server_is_a_failure() -> None:
    with serving() as gone:
        url = gone.url
    with pytest.raises(StoreError):
        Http(url).get(_NAME, _LONG)


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


@pytest.mark.usefixtures("credentials")
def test_requests_to_s3_are_signed() -> None:
    with serving(signed=True) as server:
        store = Http(server.url, s3_signature(REGION))
        assert store.get(_NAME, _LONG) is None
        assert store.put(_NAME, b"one", _LONG, if_absent=True)
        assert not store.put(_NAME, b"two", _LONG, if_absent=True)
        assert store.get(_NAME, _LONG) == b"one"
        with pytest.raises(StoreError, match="403"):
            Http(server.url).get(_NAME, _LONG)
        with pytest.raises(StoreError, match="403"):
            Http(server.url, s3_signature("us-west-1")).get(_NAME, _LONG)


@pytest.mark.usefixtures("credentials")
def test_without_credentials_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UbError) as caught:
        s3_signature(REGION)
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("urllib3", lambda: Http("http://x")),
        ("botocore.auth", lambda: s3_signature("")),
    ],
)
def test_without_a_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, package: str, call: object
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert callable(call)
    with pytest.raises(UbError) as caught:
        call()
    assert f"python3-{package.partition('.')[0]}" in caught.value.hint
