# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from ubypass.errors import UbError
from ubypass.region.reader import BytesReader, DataReader


def test_reads_up_to_the_end() -> None:
    reader = BytesReader({0x1000: b"abcdef"})
    assert reader.read(0x1002, 3) == b"cde"
    assert reader.read(0x1004, 100) == b"ef"


@pytest.mark.parametrize("address", [0xFFF, 0x1006])
def test_no_code(address: int) -> None:
    with pytest.raises(UbError):
        BytesReader({0x1000: b"abcdef"}).read(address, 1)


def test_data_is_not_code() -> None:
    reader = BytesReader({0x1000: b"abc"}, {0x2000: b"xyz"})
    assert isinstance(reader, DataReader)
    assert reader.read_data(0x2001, 8) == b"yz"
    assert reader.read_data(0x1000, 1) == b"a"
    with pytest.raises(UbError):
        reader.read(0x2000, 1)
