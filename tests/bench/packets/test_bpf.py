# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel refuses; what it takes is tests/guest's, in the lab's kernel."""

from __future__ import annotations

import os

import pytest

from ubypass.bench.packets import bpf
from ubypass.errors import UbError


def test_what_is_no_map_or_program_is_refused() -> None:
    with open(os.devnull, "rb") as file:
        with pytest.raises(UbError, match="cannot read a map: ") as caught:
            bpf.read_value(file.fileno(), 8)
        assert "CONFIG_BPF_SYSCALL" in caught.value.hint
        with (
            pytest.raises(UbError, match="cannot attach an XDP program: "),
            bpf.attached(file.fileno(), 1),
        ):
            pass
