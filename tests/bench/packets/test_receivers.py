# SPDX-License-Identifier: GPL-2.0-only
"""Those that need nothing in the kernel; XDP is measured by tests/guest."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.bench.packets.wires import needs_wires
from ubypass.bench.packets import receivers
from ubypass.bench.packets.network import Network, network
from ubypass.bench.packets.receivers import RECEIVERS, Case, Kind
from ubypass.bench.server.measure import Checked, Load
from ubypass.errors import UbError

_KINDS = {kind.key: kind for kind in RECEIVERS}


@pytest.fixture(scope="module")
def wire() -> Iterator[Network]:
    with network() as made:
        yield made


@needs_wires
@pytest.mark.parametrize("case", [Case(64), Case(1001, sum=True)], ids=str)
@pytest.mark.parametrize("kind", [_KINDS["ring"], _KINDS["raw"]], ids=lambda k: k.key)
def test_sockets_and_rings(wire: Network, kind: Kind, case: Case) -> None:
    with kind.open(wire, case) as receiver:
        with receiver.background():
            pass
        load = receiver.load(3_000)
        assert load.checked == Checked(1, 0)
        assert load.requests == 3_000
        assert load.elapsed_ns > 0
        (pid,) = receiver.serving()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@needs_wires
def test_nothing_attached_and_what_is_missing_is_wrong(
    wire: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _KINDS["stack"].open(wire, Case(64)) as receiver:
        assert receiver.load(300).checked == Checked(1, 0)
        assert receiver.serving() == ()
        monkeypatch.setattr(receivers, "_LOOKS", 2)
        monkeypatch.setattr(receivers, "_dropped", lambda pid: 7)
        assert receiver.load(300).checked == Checked(1, 1)


@needs_wires
def test_what_does_not_start_says_why(wire: Network) -> None:
    with (
        _KINDS["raw"].open(wire, Case(64)),
        pytest.raises(UbError, match="Address already in use"),
        _KINDS["raw"].open(wire, Case(64)),
    ):
        pass


@dataclass
class _Wire:
    """Counts what arrives of floods of ten packets; ``drops``: lost ones of each."""

    drops: list[int]
    arrived: int = 0

    def flood(self, command: list[str]) -> str:
        dropped = self.drops.pop(0)
        self.arrived += 10 - dropped
        sent = {"packets": 10, "ns": 1000, "sum": 70, "right": True}
        return json.dumps({**sent, "dropped": dropped})

    def receiver(self, monkeypatch: pytest.MonkeyPatch) -> receivers._InKernel:
        monkeypatch.setattr(receivers, "output_of", self.flood)
        return receivers._InKernel(
            Network("to", "from"),
            Case(64),
            lambda: receivers._Counted(port=self.arrived),
        )


def test_a_flood_that_the_wire_could_not_carry_is_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wire = _Wire([3, 1, 0])
    assert wire.receiver(monkeypatch).load(10) == Load(10, 1000, Checked(1, 0))
    assert wire.drops == []


def test_a_wire_that_never_carries_one_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wire = _Wire([1] * receivers._FLOODS)
    with pytest.raises(UbError, match="the wire dropped packets in each of 5 floods"):
        wire.receiver(monkeypatch).load(10)


def test_a_packet_that_the_receiver_lost_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wire = _Wire([0])
    receiver = wire.receiver(monkeypatch)
    monkeypatch.setattr(receivers, "_LOOKS", 2)
    receiver._counted = lambda: receivers._Counted(port=0)
    assert receiver.load(10).checked == Checked(1, 1)


def test_a_sender_that_says_nonsense() -> None:
    with pytest.raises(UbError, match="no result but 'x'"):
        receivers._Sent.of("x")


def test_each_has_a_name_of_its_own() -> None:
    assert len({kind.key for kind in RECEIVERS}) == len(RECEIVERS)
    assert max(len(kind.name) for kind in RECEIVERS) <= 20
    assert [kind.key for kind in RECEIVERS if kind.boosted] == ["raw-boosted"]
