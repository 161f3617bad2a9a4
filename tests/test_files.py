# SPDX-License-Identifier: GPL-2.0-only
"""Files are looked at before they are opened."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.files import open_regular


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
