# SPDX-License-Identifier: GPL-2.0-only
"""Whoever sits before the machine: confirms requests of mokutil in shim's MokManager.

It runs before the operating system, here on the machine's serial console, and asks for
the password that mokutil was given.
"""

from __future__ import annotations

import re
import select
import time

from tests.secureboot.inside import PASSWORD
from ubypass.errors import UbError
from ubypass.lab.qemu import Machine

__all__ = ["change_state", "enrol", "plain", "wanted_character"]

_DOWN, _ENTER = b"\x1b[B", b"\r"
_BEGIN = "seconds"  # "Booting in 9 seconds", below "Press any key ..."
_QUIET = 1.5  # seconds without output: the screen is complete
_TIMEOUT = 120.0  # seconds until the next screen
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CHARACTER = re.compile(r"password character (\d+)")
_CHARACTERS = 3  # that it asks for


def enrol(machine: Machine) -> None:
    """Enrol the key of ``mokutil --import``. Raises UbError if it does not work."""
    console = _Console(machine)
    console.show(_BEGIN, b" ", at_once=True)
    console.show("Enroll MOK", _DOWN, _ENTER)
    console.show("View key 0", _DOWN, _ENTER)  # "Continue"
    console.show("Yes", _DOWN, _ENTER)
    console.show("Password:", PASSWORD.encode(), _ENTER)
    console.restart()


def change_state(machine: Machine) -> None:
    """Do as ``mokutil --disable-validation`` requests, or ``--enable-validation``.

    Raises UbError if it does not work.
    """
    console = _Console(machine)
    console.show(_BEGIN, b" ", at_once=True)
    console.show("Change Secure Boot state", _DOWN, _ENTER)
    for _ in range(_CHARACTERS):
        screen = console.show("password character")
        console.type(wanted_character(screen), _ENTER)
    console.show("Yes", _DOWN, _ENTER)
    console.restart()


def plain(screen: bytes) -> str:
    """The text of a screen, without the terminal's controls."""
    return _CONTROL.sub("", screen.decode(errors="replace"))


def wanted_character(screen: str) -> bytes:
    """The character of the password for which the screen asks last, from 1."""
    return PASSWORD[int(_CHARACTER.findall(screen)[-1]) - 1].encode()


class _Console:
    """The machine's screen and keys.

    Always read without a pause: QEMU throws away what nobody takes.
    """

    def __init__(self, machine: Machine) -> None:
        self._console = machine.streams["console"]
        self._process = machine.process
        self._seen = bytearray()  # since the last key

    def show(self, wanted: str, *keys: bytes, at_once: bool = False) -> str:
        """Wait for ``wanted``, then type ``keys``; the screen with it.

        ``at_once``: while the screen still changes.
        """
        ends = time.monotonic() + _TIMEOUT
        while self._process.poll() is None and time.monotonic() < ends:
            quiet = not self._read()
            screen = plain(self._seen)
            if wanted in screen and (quiet or at_once):
                self.type(*keys)
                return screen
        raise UbError(
            f"MokManager does not show '{wanted}', but:\n{plain(self._seen)[-2000:]}"
        )

    def type(self, *keys: bytes) -> None:
        """Type them, each when the screen is quiet; what follows is a new screen."""
        for key in keys:
            self._seen.clear()
            self._console.sendall(key)
            while self._process.poll() is None and self._read():
                pass

    def restart(self) -> None:
        """Restart the machine, which ends QEMU."""
        self.show("Reboot", _ENTER)
        ends = time.monotonic() + _TIMEOUT
        while self._process.poll() is None:
            if time.monotonic() > ends:
                raise UbError("MokManager does not restart the machine")
            self._read()

    def _read(self) -> bool:
        """Take what comes within `_QUIET`; whether anything did."""
        if not select.select([self._console], [], [], _QUIET)[0]:
            return False
        data = self._console.recv(1 << 16)
        self._seen += data
        if not data:
            time.sleep(_QUIET / 10)  # QEMU has closed it, and is about to end
        return bool(data)
