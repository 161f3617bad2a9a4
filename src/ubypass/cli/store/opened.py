# SPDX-License-Identifier: GPL-2.0-only
"""From the configuration of a store to its client."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ubypass.errors import UbError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from ubypass.abi import Abi
    from ubypass.service.config import Store
    from ubypass.store.shared import SharedTranslations
    from ubypass.store.signing import PublicKeys, Signer

__all__ = ["configured", "load_keys", "open_shared"]

#: Seconds that the start of the service waits for the store.
_OPENING = 5.0


def open_shared(
    store: Store, abi: Abi, log: Callable[[str], None]
) -> SharedTranslations:
    """The client of ``store`` for a module with ``abi``; ``log`` takes lines.

    Publishes in the background if there is a private key. Raises UbError.
    """
    from ubypass.store.bounded import Bounded, TooSlow
    from ubypass.store.opening import open_backend
    from ubypass.store.publisher import Publisher
    from ubypass.store.shared import Patience, SharedTranslations

    keys, signer = load_keys(store)
    try:
        # A network file system may not answer.
        backend = Bounded()(lambda: open_backend(store.place, store.region), _OPENING)
    except TooSlow as error:
        raise UbError(f"the store {store.place} does not answer") from error
    publisher = None
    if signer is not None:
        publisher = Publisher(abi, backend, signer)
        publisher.start()
    return SharedTranslations(
        abi,
        backend,
        keys,
        publisher,
        patience=Patience(store.timeout, store.wait),
        log=log,
    )


def load_keys(store: Store) -> tuple[PublicKeys, Signer | None]:
    """The keys of ``store``; None: this machine only reads.

    Raises UbError, also if they do not belong together.
    """
    from ubypass.store.signing import load_public, load_signer

    keys = load_public(store.public_key)
    signer = load_signer(store.private_key) if store.private_key else None
    # Signatures are of a content address; any text will do.
    if signer is not None and keys.opened("", signer.closed("", b"")) is None:
        raise UbError(
            f"{store.private_key} does not belong to a key in {store.public_key}",
            "'ub store keygen' makes pairs",
        )
    return keys, signer


def configured(path: Path) -> Store:
    """The store that the configuration at ``path`` names. Raises UbError."""
    from ubypass.service.config import load

    store = load(path).store
    if store is None:
        raise UsageError(f"{path} has no [store]", "docs/store.md has an example")
    return store
