# SPDX-License-Identifier: GPL-2.0-only
import random
from pathlib import Path

import pytest

from tests.soak.victims import Victim, choose, publish, published


def test_what_was_told_last_counts(tmp_path: Path) -> None:
    file = tmp_path / "victims"
    publish([Victim(7, 4)], file)
    victims = [Victim(8, 16), Victim(9, 1000)]
    publish(victims, file)
    assert published(file) == victims
    assert list(tmp_path.iterdir()) == [file]


def test_that_there_is_none_is_as_if_it_had_ended() -> None:
    chance = random.Random(1)
    assert choose([Victim(7, 4)], chance).pid == 7
    with pytest.raises(ProcessLookupError):
        choose([], chance)
