# SPDX-License-Identifier: GPL-2.0-only
import pickle

from tests.selftests.frozen import dumps
from ubypass.abi import Abi, Entry, Exit, ExitFlag, ExitReason


def test_data_classes_come_back() -> None:
    leave = Exit(1, ExitReason.FRONTIER, ExitFlag.CX_SYS | ExitFlag.SLOT_FLAGS, 3)
    things = [Entry(1, 2, 3), leave, Abi(features=frozenset({"avx"})), {"a": b"b"}]
    assert pickle.loads(dumps(things)) == things
