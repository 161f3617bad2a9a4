# SPDX-License-Identifier: GPL-2.0-only
from pathlib import Path

import pytest

from tests.kernels import inside

_SAID = {
    "mds": "Vulnerable: Clear CPU buffers attempted, no microcode",
    "meltdown": "Mitigation: PTI",
    "retbleed": "Not affected",
}


def test_what_is_done_where_the_processor_is_not_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in _SAID.items():
        (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setattr(inside, "_ATTACKS", tmp_path)
    expected = "mds: Vulnerable: Clear CPU buffers attempted, no microcode"
    assert inside._mitigations() == (True, f"{expected}; meltdown: PTI")
