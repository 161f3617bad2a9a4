# SPDX-License-Identifier: GPL-2.0-only
"""Names of stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.store.directory import Directory
from ubypass.store.http import Http
from ubypass.store.opening import check_place, open_backend


def test_paths_and_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    assert isinstance(open_backend(str(tmp_path)), Directory)
    for place in ("http://x/y", "https://store.example", "s3+https://s3.example/b"):
        check_place(place)
        assert isinstance(open_backend(place), Http)


@pytest.mark.parametrize(
    "place",
    [
        "",
        "store",
        "ftp://x/y",
        "https://",
        "https://user:word@x/y",
        "https://x/y?z",
        "s3://bucket",
    ],
)
def test_other_names_are_refused(place: str) -> None:
    with pytest.raises(UbError, match=r"neither a path nor a URL|more than host"):
        open_backend(place)
