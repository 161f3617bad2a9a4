# SPDX-License-Identifier: GPL-2.0-only
"""Memory maps: what is parsed, and what counts as code."""

from __future__ import annotations

import os

import pytest

from ubypass.errors import UbError
from ubypass.process.maps import parse_maps, read_maps

_TEXT = """\
00400000-00401000 r--p 00000000 08:01 11 /usr/bin/a program
00401000-00403000 r-xp 00001000 08:01 11 /usr/bin/a program
00403000-00404000 r-xp 00003000 08:01 11 /usr/bin/a program
00404000-00405000 rwxp 00000000 00:00 0
00405000-00406000 r-xs 00000000 08:01 12 /tmp/shared (deleted)
00406000-00407000 rw-p 00000000 00:00 0                          [heap]
7ffff7fc1000-7ffff7fc3000 r-xp 00000000 00:00 0                  [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0          [vsyscall]
"""


def test_code_is_private_readable_executable_and_not_writable() -> None:
    maps = parse_maps(_TEXT.splitlines())
    code = [area.start for area in maps.areas if area.is_code]
    assert code == [0x401000, 0x403000, 0x7FFFF7FC1000]


def test_find_uses_half_open_ranges() -> None:
    maps = parse_maps(_TEXT.splitlines())
    assert maps.find(0x3FFFFF) is None
    assert maps.find(0x400000) is maps.areas[0]
    assert maps.find(0x401000) is maps.areas[1]
    assert maps.find(0x406FFF) is maps.areas[5]
    assert maps.find(0x407000) is None


def test_runs_of_areas_are_followed_to_their_end() -> None:
    maps = parse_maps(_TEXT.splitlines())
    assert maps.code_end(0x401234) == 0x404000
    assert maps.code_end(0x404000) == 0x404000
    assert maps.readable_end(0x400800) == 0x407000


def test_paths_keep_spaces_and_marks() -> None:
    maps = parse_maps(_TEXT.splitlines())
    assert maps.areas[1].path == "/usr/bin/a program"
    assert maps.areas[1].offset == 0x1000
    assert maps.areas[3].path == ""
    assert maps.areas[4].path == "/tmp/shared (deleted)"
    assert maps.areas[1].is_file
    assert not maps.areas[6].is_file


def test_own_map_has_code_and_the_stack() -> None:
    maps = read_maps(os.getpid())
    assert any(area.path == "[stack]" for area in maps.areas)
    assert any(area.is_code for area in maps.areas)
    assert list(maps.areas) == sorted(maps.areas, key=lambda area: area.start)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="not a line"):
        parse_maps(["hello world"])


def test_a_process_that_is_gone_is_an_error_for_people() -> None:
    with pytest.raises(UbError, match="no longer exists"):
        read_maps(2**22 + 1)
