# SPDX-License-Identifier: GPL-2.0-only
"""Files are looked at before they are opened."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.files import must_be_writable, open_regular, read_text, write_text


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    found = file.stat()
    with open_regular(file, same=(found.st_dev, found.st_ino)) as stream:
        assert stream.read() == b"content"


def test_nothing_else_is_opened(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(UbError, match="is a FIFO, not a regular file"):
        open_regular(fifo)
    with pytest.raises(UbError, match="is a directory"):
        open_regular(tmp_path)
    with pytest.raises(UbError, match="is a device"):
        open_regular("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(UbError, match="is a socket"):
            open_regular(tmp_path / "socket")
    with pytest.raises(UbError, match="No such file"):
        open_regular(tmp_path / "missing")


def test_links_and_other_files(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"content")
    link.symlink_to(file)
    with open_regular(link) as stream:
        assert stream.read() == b"content"
    with pytest.raises(UbError, match="symbolic link"):
        open_regular(link, follow=False)
    found = file.stat()
    with pytest.raises(UbError, match="another file"):
        open_regular(file, same=(found.st_dev, found.st_ino + 1))


def test_text_is_utf_8_and_the_old_file_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "new" / "file"
    write_text(file, "a \u2192 b")
    assert file.read_bytes() == b"a \xe2\x86\x92 b"
    assert read_text(file) == "a \u2192 b"
    monkeypatch.setattr(Path, "replace", _fail)
    with pytest.raises(UbError, match="No space left"):
        write_text(file, "other")
    assert read_text(file) == "a \u2192 b"
    assert [path.name for path in file.parent.iterdir()] == ["file"]


def _fail(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_device_is_written_to_and_not_replaced() -> None:
    write_text(Path("/dev/null"), "text")
    assert Path("/dev/null").is_char_device()


def test_whether_a_file_can_be_written_is_known_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    must_be_writable(tmp_path / "new" / "directory" / "file")
    must_be_writable(Path("/dev/null"))
    with pytest.raises(UbError, match="it is a directory"):
        must_be_writable(tmp_path)
    (tmp_path / "file").touch()
    must_be_writable(tmp_path / "file")
    with pytest.raises(UbError, match="is not a directory"):
        must_be_writable(tmp_path / "file" / "x")
    with pytest.raises(UbError, match="does not exist"):
        must_be_writable(tmp_path / "new" / "x", parents=False)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UbError, match=f"no permission to change {tmp_path}"):
        must_be_writable(tmp_path / "new")
    with pytest.raises(UbError, match="permission denied"):
        must_be_writable(Path("/dev/null"))
