# SPDX-License-Identifier: GPL-2.0-only
"""Requests to the running service."""

from __future__ import annotations

from typing import Any

__all__ = ["ask"]


def ask(action: str) -> Any:
    """The service's answer to ``action``. Raises UbError, exit code 3 if none runs."""
    from ubypass.engine import control
    from ubypass.service.place import ask_service

    return ask_service({"ask": f"service-{action}"}, control.CONTROL_DIRECTORY)
