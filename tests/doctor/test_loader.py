# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from ubypass.doctor.loader import Entry, Unknown, by_version, read, release_of


@pytest.mark.parametrize(
    ("kernel", "release"),
    [
        ("/boot/vmlinuz-6.1.0-57-amd64", "6.1.0-57-amd64"),
        # Of a file system of its own.
        ("/vmlinuz-6.12.118+deb13-amd64", "6.12.118+deb13-amd64"),
        ("/0123abcd/6.1.0-57-amd64/linux", "6.1.0-57-amd64"),
        ("", ""),
    ],
)
def test_the_path_has_the_release(tmp_path: Path, kernel: str, release: str) -> None:
    assert release_of(Entry("GRUB", "Debian", kernel), tmp_path) == release


@pytest.mark.parametrize("link", ["vmlinuz", "boot/vmlinuz"])
def test_a_link_is_followed(tmp_path: Path, link: str) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / link).symlink_to("boot/vmlinuz-6.1.0-9-amd64")
    assert release_of(Entry("GRUB", "", "/vmlinuz"), tmp_path) == "6.1.0-9-amd64"


def test_a_kernel_of_another_name_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(Unknown, match="starts /boot/bzImage, of no known release"):
        release_of(Entry("GRUB", "", "/boot/bzImage"), tmp_path)


def test_numbers_are_compared_as_numbers() -> None:
    releases = ["6.12.9-amd64", "6.2.0-1-amd64", "6.1.0-57-amd64", "6.1.0-9-amd64"]
    assert sorted(releases, key=by_version) == releases[::-1]


def test_no_file_is_no_error_and_an_unreadable_one_is(tmp_path: Path) -> None:
    assert read(tmp_path / "nothing", "it") == ""
    with pytest.raises(Unknown, match="it cannot be read: Is a directory"):
        read(tmp_path, "it")
