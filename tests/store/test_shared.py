# SPDX-License-Identifier: GPL-2.0-only
"""What a machine does with a store: friendly, broken or hostile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from tests.store.sample import ABI, Machine, random_bases, region_of
from ubypass.abi import SiteKey, Translation
from ubypass.engine import build as build_module
from ubypass.engine.build import Builder
from ubypass.engine.built import Built, Postponed
from ubypass.region.reader import BytesReader
from ubypass.store.address import address_of, environment
from ubypass.store.backend import StoreError
from ubypass.store.placement import placement_of
from ubypass.store.portable import Portable, make_portable
from ubypass.store.publisher import Publisher
from ubypass.store.shared import Patience, SharedTranslations
from ubypass.store.signing import Signer, generate, load_signer
from ubypass.store.wire import encoded
from ubypass.translate.translate import translate

_T = TypeVar("_T")


class _Memory:
    """A store in memory, with failures on demand."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.error: Exception | None = None

    def get(self, name: str, seconds: float) -> bytes | None:
        self._note(f"get {name}")
        return self.stored.get(name)

    def put(self, name: str, data: bytes, seconds: float, *, if_absent: bool) -> bool:
        self._note(f"put {name}")
        if if_absent and name in self.stored:
            return False
        self.stored[name] = data
        return True

    def _note(self, line: str) -> None:
        self.requests.append(line)
        if self.error is not None:
            raise self.error


class _Client:
    """A machine of the fleet, with a clock of its own."""

    def __init__(
        self,
        store: _Memory,
        signer: Signer,
        seed: int,
        *,
        publishes: bool = True,
        run: Callable[[Callable[[], _T], float], _T] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.now = 1000.0
        self.lines: list[str] = []
        self.machine = Machine(random_bases(seed))
        self.publisher = (
            Publisher(ABI, store, signer, clock=lambda: self.now) if publishes else None
        )
        self.shared = SharedTranslations(
            ABI,
            store,
            signer.public,
            self.publisher,
            patience=patience,
            log=self.lines.append,
            clock=lambda: self.now,
            dice=lambda: 0.5,
            run=run or (lambda job, seconds: job()),  # type: ignore[arg-type]
        )
        self.builder = Builder(ABI, self.shared)

    def build(self, traces: int = 1) -> Built:
        return self.builder(self.machine.profile(traces), self.machine)

    def publish(self) -> bool:
        assert self.publisher is not None
        return self.publisher.publish_due()


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    path = tmp_path_factory.mktemp("keys") / "private"
    path.touch(mode=0o600)
    path.write_text(generate()[0])
    return load_signer(path)


@pytest.fixture
def store() -> _Memory:
    return _Memory()


def _address(machine: Machine, traces: int = 1) -> str:
    region = region_of(machine, traces)
    return address_of(region, placement_of(region, machine.maps), environment(ABI))


def _portable(machine: Machine) -> Portable:
    region = region_of(machine, 1)
    place = placement_of(region, machine.maps)
    return make_portable(region, place, lambda region: translate(region, ABI))


def _local(client: _Client, traces: int = 1) -> Translation:
    machine = client.machine
    return Builder(ABI)(machine.profile(traces), machine).translation


def test_one_machine_translates_and_the_other_one_does_not(
    store: _Memory, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _Client(store, signer, 1), _Client(store, signer, 2)
    assert first.build().translation == _local(first)
    assert first.publish()
    assert not first.publish()
    assert first.shared.figures.published == 1
    verified = []
    check = build_module.check
    monkeypatch.setattr(
        build_module, "check", lambda *args: verified.append(args[0]) or check(*args)
    )
    monkeypatch.setattr(build_module, "translate", None)  # would fail
    built = second.build(traces=4)
    monkeypatch.undo()
    assert built.translation == _local(second)  # at its own addresses
    assert verified == [built.translation]
    figures = second.shared.figures.as_json()
    assert {name: n for name, n in figures.items() if n} == {"hits": 1, "requests": 1}


def test_what_was_found_once_is_not_asked_for_again(
    store: _Memory, signer: Signer
) -> None:
    first, second = _Client(store, signer, 1), _Client(store, signer, 2)
    first.build()
    first.publish()
    second.build()
    asked = len(store.requests)
    second.build()
    assert len(store.requests) == asked
    assert second.shared.figures.hits == 2


def test_a_machine_without_the_private_key_only_reads(
    store: _Memory, signer: Signer
) -> None:
    reader = _Client(store, signer, 3, publishes=False)
    reader.build()
    assert not [line for line in store.requests if line.startswith("put")]
    assert store.stored == {}
    assert reader.shared.figures.misses == 1
    reader.build()  # it knows that there is none
    assert len(store.requests) == 2


# ---- hostile stores ---------------------------------------------------------------


def _unsafe(portable: Portable) -> Portable:
    """With one clamp made ineffective: cmp with the limit becomes nops."""
    made = portable.translation
    at = made.code.index(bytes.fromhex("0f43"))  # cmovae
    code = made.code[: at - 1] + b"\x90" * 5 + made.code[at + 4 :]
    return replace(portable, translation=replace(made, code=code))


def test_what_the_verifier_refuses_is_never_used(
    store: _Memory, signer: Signer
) -> None:
    """Signed with the right key, and not safe: somebody has stolen the key."""
    client = _Client(store, signer, 5)
    address = _address(client.machine)
    data = encoded(_unsafe(_portable(client.machine)))
    store.stored[address] = signer.closed(address, data)
    assert client.build().translation == _local(client)
    assert (client.shared.figures.refused, client.shared.figures.hits) == (1, 0)
    assert len(client.lines) == 1
    assert "the verifier refused it" in client.lines[0]
    client.build()
    assert (client.shared.figures.refused, len(client.lines)) == (1, 1)
    client.now += 60  # its own takes the place
    assert client.publish()
    client.build()
    client.now += 60
    assert not client.publish()  # once is enough
    other = _Client(store, signer, 6)
    other.build()
    assert (other.shared.figures.hits, other.shared.figures.refused) == (1, 0)


def test_each_place_of_the_code_is_verified_wherever_it_is_changed(
    store: _Memory, signer: Signer
) -> None:
    """Translations with a changed byte are refused, or are equally safe ones."""
    portable = _portable(Machine(random_bases(1)))
    code = portable.translation.code
    refused = 0
    for at in range(0, len(code), 7):
        store = _Memory()
        client = _Client(store, signer, at)
        changed = bytearray(code)
        changed[at] ^= 0x41
        wrong = replace(
            portable, translation=replace(portable.translation, code=bytes(changed))
        )
        address = _address(client.machine)
        store.stored[address] = signer.closed(address, encoded(wrong))
        built = client.build()
        build_module.check(built.translation, ABI)
        refused += client.shared.figures.refused
    assert refused > len(code) // 7 // 2


@pytest.mark.parametrize("data", [b"", b"junk", b"UBST1\n" + bytes(200)])
def test_what_is_not_signed_is_not_read(
    store: _Memory, signer: Signer, data: bytes
) -> None:
    client = _Client(store, signer, 1)
    store.stored[_address(client.machine)] = data
    assert client.build().translation == _local(client)
    assert client.shared.figures.refused == 1
    assert "not signed" in client.lines[0]


def test_a_signed_translation_of_another_program_is_refused(
    store: _Memory, signer: Signer
) -> None:
    client = _Client(store, signer, 1)
    other = Machine(random_bases(1), patch={"mov edi, 3": "mov edi, 4"})
    address = _address(client.machine)
    data = encoded(_portable(other))
    store.stored[address] = signer.closed(_address(other), data)
    client.build()
    assert "not signed" in client.lines[0]


@pytest.mark.parametrize("table", ["entries", "dispatches", "bases", "format"])
def test_signed_nonsense_is_refused(store: _Memory, signer: Signer, table: str) -> None:
    client = _Client(store, signer, 1)
    good = _portable(client.machine)
    made = good.translation
    moved_by_2 = {
        "entries": replace(
            made,
            entries=tuple(replace(e, user_ip=e.user_ip + 2) for e in made.entries),
        ),
        "dispatches": replace(
            made,
            dispatches=tuple(
                replace(d, user_ip=d.user_ip + 2) for d in made.dispatches
            ),
        ),
    }
    wrong = replace(good, translation=moved_by_2.get(table, made))
    if table == "bases":
        wrong = replace(wrong, bases=(*wrong.bases, 1 << 45))
    address = _address(client.machine)
    data = b"junk" if table == "format" else encoded(wrong)
    store.stored[address] = signer.closed(address, data)
    assert client.build().translation == _local(client)
    assert client.shared.figures.refused == 1


def test_a_verifier_that_fails_refuses(
    store: _Memory, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _Client(store, signer, 1), _Client(store, signer, 2)
    first.build()
    first.publish()
    check, calls = build_module.check, []

    def fragile(translation: Translation, abi: object) -> object:
        calls.append(translation)
        if len(calls) == 1:
            raise IndexError("out of range")
        return check(translation, ABI)

    monkeypatch.setattr(build_module, "check", fragile)
    second.build()
    assert second.shared.figures.refused == 1
    assert "cannot read it: IndexError" in second.lines[0]


# ---- broken stores ----------------------------------------------------------------


def test_a_broken_store_is_left_alone_after_a_few_failures(
    store: _Memory, signer: Signer
) -> None:
    client = _Client(store, signer, 1)
    store.error = StoreError("no route to host")
    for _ in range(10):
        assert client.build().translation == _local(client)
    assert client.shared.figures.failures == len(store.requests) == 3
    assert client.shared.figures.skipped == 7
    assert client.lines == ["the store is not asked for a while: no route to host"]
    client.now += 31
    store.error = None
    client.build()
    assert client.shared.figures.misses == 1


def test_whatever_a_library_raises_is_a_failure(store: _Memory, signer: Signer) -> None:
    client = _Client(store, signer, 1)
    store.error = RuntimeError("credentials have expired")
    assert client.build().translation == _local(client)
    assert client.shared.figures.failures == 1


def test_a_store_that_hangs_costs_its_timeout_only(
    store: _Memory, signer: Signer
) -> None:
    from ubypass.store.bounded import Bounded

    go = threading.Event()

    class Hanging(_Memory):
        def get(self, name: str, seconds: float) -> bytes | None:
            go.wait()
            return None

    client = _Client(
        Hanging(), signer, 1, run=Bounded(), patience=Patience(timeout=0.01)
    )
    for _ in range(5):
        assert client.build().translation == _local(client)
    assert client.shared.figures.failures == 3
    go.set()


def test_code_of_no_file_is_translated_here(store: _Memory, signer: Signer) -> None:
    client = _Client(store, signer, 1)
    plain = BytesReader({client.machine.start: b"\x0f\x05\xeb\xfc"})
    profile = replace(client.machine.profile())
    profile.add_entry(SiteKey(client.machine.start + 2, 0))
    profile.remove_entry(SiteKey(client.machine.resume, 0))
    client.builder(profile, plain)
    assert client.shared.figures.unshareable == 1
    assert store.requests == []


# ---- claims -----------------------------------------------------------------------


def test_what_another_machine_makes_is_waited_for(
    store: _Memory, signer: Signer
) -> None:
    first, second = _Client(store, signer, 1), _Client(store, signer, 2)
    first.build()
    with pytest.raises(Postponed) as caught:
        second.build()
    assert 0 < caught.value.seconds <= 0.5
    asked = len(store.requests)
    with pytest.raises(Postponed):
        second.build()  # too early: the store is not asked
    assert len(store.requests) == asked
    first.publish()
    second.now += caught.value.seconds
    second.build()
    assert second.shared.figures.hits == 1


def test_patience_ends(store: _Memory, signer: Signer) -> None:
    reader = _Client(store, signer, 1, publishes=False)
    store.stored[f"{_address(reader.machine)}.claim"] = b""
    began = reader.now
    while True:
        try:
            reader.build()
        except Postponed as later:
            reader.now += later.seconds
        else:
            break
    assert reader.now - began == pytest.approx(2.0)
    assert reader.shared.figures.waits <= 5
    reader.build()  # and does not wait again
    assert reader.now - began == pytest.approx(2.0)


def test_a_claim_of_a_machine_that_is_gone_is_taken_over(
    store: _Memory, signer: Signer
) -> None:
    client = _Client(store, signer, 1)
    store.stored[f"{_address(client.machine)}.claim"] = b""
    began = client.now
    while True:
        try:
            client.build()
        except Postponed as later:
            client.now += later.seconds
        else:
            break
    assert 1.0 <= client.now - began < 2.0
    assert client.publish()
    assert client.shared.figures.published == 1


def test_without_patience_nothing_is_waited_for(store: _Memory, signer: Signer) -> None:
    client = _Client(store, signer, 1, patience=Patience(claimed=0))
    store.stored[f"{_address(client.machine)}.claim"] = b""
    client.build()
    assert client.shared.figures.waits == 0


def test_a_store_full_of_claims_wastes_little_time(
    store: _Memory, signer: Signer
) -> None:
    """A hostile store claims whatever is asked for, and never has it."""

    class Claiming(_Memory):
        def get(self, name: str, seconds: float) -> bytes | None:
            super().get(name, seconds)
            return b"" if "." in name else None

    client = _Client(Claiming(), signer, 1, publishes=False)
    began = client.now
    for number in range(6):
        client.machine = Machine(
            random_bases(1), patch={"mov edi, 3": f"mov edi, {number}"}
        )
        while True:
            try:
                client.build()
            except Postponed as later:
                client.now += later.seconds
            else:
                break
    assert client.now - began == pytest.approx(3 * 2.0)
