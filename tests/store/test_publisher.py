# SPDX-License-Identifier: GPL-2.0-only
"""Publishing in the background."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.store.sample import ABI, Machine, random_bases, region_of
from ubypass.abi import Translation
from ubypass.errors import UbError
from ubypass.store import publisher as publisher_module
from ubypass.store.backend import StoreError
from ubypass.store.directory import Directory
from ubypass.store.placement import placement_of
from ubypass.store.publisher import Offer, Publisher
from ubypass.store.signing import Signer, generate, load_signer
from ubypass.store.wire import decoded


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    path = tmp_path_factory.mktemp("keys") / "private"
    path.touch(mode=0o600)
    path.write_text(generate()[0])
    return load_signer(path)


def _offer(number: int, due: float = 0.0, *, replaces: bool = False) -> Offer:
    machine = Machine(random_bases(1))
    region = region_of(machine)
    place = placement_of(region, machine.maps)
    name = f"{number:02x}" * 32
    return Offer(due, name, region, place, careful=False, replaces=replaces)


def test_a_thread_publishes_what_is_offered(tmp_path: Path, signer: Signer) -> None:
    tmp_path.chmod(0o755)
    store = Directory(tmp_path)
    publisher = Publisher(ABI, store, signer)
    publisher.start()
    for number in range(3):
        publisher.add(_offer(number))
    while publisher.figures.published < 3:
        time.sleep(0.001)
    publisher.close()
    publisher.add(_offer(9))
    assert not publisher.publish_due()
    data = store.get("01" * 32, 1)
    assert data is not None
    content = signer.public.opened("01" * 32, data)
    assert content is not None
    assert decoded(content).translation.entries


def test_what_is_there_is_not_translated_again(tmp_path: Path, signer: Signer) -> None:
    tmp_path.chmod(0o755)
    store, now = Directory(tmp_path), [10.0]
    publisher = Publisher(ABI, store, signer, clock=lambda: now[0])
    store.put("01" * 32, b"there", 1, if_absent=True)
    publisher.add(_offer(1, due=20.0))
    assert not publisher.publish_due()
    now[0] = 20.0
    assert publisher.publish_due()
    assert publisher.figures.published == 0
    assert store.get("01" * 32, 1) == b"there"
    publisher.add(_offer(1, replaces=True))
    assert publisher.publish_due()
    assert store.get("01" * 32, 1) != b"there"


def test_offers_are_bounded(tmp_path: Path, signer: Signer) -> None:
    tmp_path.chmod(0o755)
    publisher = Publisher(ABI, Directory(tmp_path), signer, clock=lambda: 0.0)
    offer = _offer(1, replaces=True)
    for _ in range(100):
        publisher.add(offer)
    done = 0
    while publisher.publish_due():
        done += 1
    assert done == 32


def test_failures_are_counted(
    tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    store = Directory(tmp_path)
    publisher = Publisher(ABI, store, signer)

    def fail(*args: object, **named: object) -> Translation:
        raise UbError("too large")

    monkeypatch.setattr(publisher_module, "translate", fail)
    publisher.add(_offer(1))
    assert publisher.publish_due()
    assert publisher.figures.unshareable == 1
    monkeypatch.undo()

    def broken(*args: object, **named: object) -> bool:
        raise StoreError("full")

    monkeypatch.setattr(Directory, "put", broken)
    publisher.add(_offer(1))
    assert publisher.publish_due()
    assert publisher.figures.failures == 1
    monkeypatch.setattr(Directory, "put", None)  # TypeError
    publisher.add(_offer(1))
    assert publisher.publish_due()
    assert publisher.figures.failures == 2
