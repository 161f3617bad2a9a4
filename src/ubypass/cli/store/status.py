# SPDX-License-Identifier: GPL-2.0-only
"""``ub store status``: whether the configured store can be used from here."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from ubypass.cli.options import add_json
from ubypass.cli.service.config_option import add_config_option
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError

if TYPE_CHECKING:
    from ubypass.service.config import Store

__all__ = ["VERB", "configure", "run"]

#: A name that no translation has.
_NOBODY = "0" * 64
_PATIENCE = 10.0  # seconds


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_json(parser)
    add_config_option(parser)


def run(args: argparse.Namespace) -> int:
    """Check the keys, and ask the store; 0. Raises UbError."""
    from ubypass.cli.store.opened import configured

    answer = _examine(configured(args.config))
    if args.json:
        import json

        print(json.dumps(answer, indent=1))
        return 0
    rows = [
        ("store", answer["place"]),
        ("answers", f"after {answer['seconds'] * 1e3:.0f} ms"),
        ("this machine", "publishes" if answer["publishes"] else "only reads"),
    ]
    if answer["translations"] is not None:
        size = f"{answer['bytes'] / 1024:.0f} KiB"
        rows.append(("contents", f"{answer['translations']} translations, {size}"))
    for name, value in rows:
        print(f"{name:<12}  {value}")
    if answer["seconds"] > answer["timeout_seconds"]:
        print("that is too slow: a build would not wait so long (timeout_seconds)")
    return 0


def _examine(store: Store) -> dict[str, Any]:
    from ubypass.cli.store.opened import load_keys
    from ubypass.store.backend import StoreError
    from ubypass.store.bounded import Bounded, TooSlow
    from ubypass.store.directory import Directory
    from ubypass.store.opening import open_backend

    _, signer = load_keys(store)
    backend = open_backend(store.place, store.region)
    began = time.monotonic()
    try:
        Bounded()(lambda: backend.get(_NOBODY, _PATIENCE), _PATIENCE)
    except (StoreError, TooSlow) as error:
        raise UbError(
            f"the store does not answer: {str(error) or 'it takes too long'}",
            "programs are boosted without it; docs/store.md has what it needs",
        ) from error
    seconds = time.monotonic() - began
    number = size = None
    if isinstance(backend, Directory):
        kept = [length for path, length, _ in backend.sizes() if "." not in path.name]
        number, size = len(kept), sum(kept)
    return {
        "version": 1,
        "place": store.place,
        "publishes": signer is not None,
        "seconds": seconds,
        "timeout_seconds": store.timeout,
        "translations": number,
        "bytes": size,
    }


VERB = Verb("status", "say whether the store can be used from here", configure, run)
