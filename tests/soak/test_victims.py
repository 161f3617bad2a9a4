# SPDX-License-Identifier: GPL-2.0-only
from pathlib import Path

from tests.soak.victims import Victim, publish, published


def test_what_was_told_last_counts(tmp_path: Path) -> None:
    file = tmp_path / "victims"
    publish([Victim(7, 4)], file)
    victims = [Victim(8, 16), Victim(9, 1000)]
    publish(victims, file)
    assert published(file) == victims
    assert list(tmp_path.iterdir()) == [file]
