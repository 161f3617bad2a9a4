# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from ubypass.bench.chains.ends import plant
from ubypass.bench.chains.snapshot import Area
from ubypass.errors import UbError

_CODE = Area(0x400000, 0x401000, False, True, 0, "program")
_SITE = 0x400800


def _target(patches: dict[int, bytes], at: int) -> int:
    code = patches[at]
    return at + len(code) + int.from_bytes(code[1:], "little", signed=True)


def test_leads_to_a_page_by_way_of_a_hole() -> None:
    executed = list(range(_SITE - 60, _SITE + 40, 4))
    patches, pages = plant([_SITE], executed, [_CODE])
    hole = _target(patches, _SITE)
    assert _target(patches, hole) == pages[0]
    assert all(not hole - 14 <= ip < hole + 5 for ip in executed)
    assert not _CODE.start <= pages[0] < _CODE.end
    assert pages[0] % 4096 == 0


def test_holes_do_not_overlap() -> None:
    sites = [_SITE, _SITE + 16]
    patches, pages = plant(sites, sites, [_CODE])
    assert len(pages) == 1
    holes = sorted(_target(patches, site) for site in sites)
    assert holes[1] - holes[0] >= 5


def test_no_room() -> None:
    with pytest.raises(UbError, match="no room next to the system call at 0x400800"):
        plant([_SITE], list(range(_CODE.start, _CODE.end)), [_CODE])


def test_far_code_has_a_page_of_its_own() -> None:
    far = Area(0x7F0000000000, 0x7F0000001000, False, True, 0, "library")
    sites = [_SITE, far.start + 0x800]
    _, pages = plant(sites, sites, [_CODE, far])
    assert len(pages) == 2
