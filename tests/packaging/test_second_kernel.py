# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with a kernel that came later, by files and recorded answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.fresh.machine import Done, Failed, Machine
from tests.fresh.second_kernel import Kernel, boosts, install, remove
from tests.packaging.played_machine import Played
from ubypass.version import VERSION

_FIRST, _LATER = "6.1.0-57-amd64", "6.12.117+deb12-amd64"
_KERNEL = Kernel(_LATER, frozenset({"linux-image-6.12-amd64"}))


class _Machine(Machine):
    """Files of a machine whose dkms builds modules, unless it is ``lazy``, and removes
    them, unless it is ``sloppy``.
    """

    lazy = sloppy = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self._add(_FIRST)

    def _add(self, release: str) -> None:
        for path in (
            f"boot/vmlinuz-{release}",
            f"usr/lib/modules/{release}/updates/dkms/ub.ko",
            f"var/lib/dkms/ubypass/{VERSION}/{release}/x86_64/module/ub.ko",
        ):
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).touch()

    def packages(self) -> set[str]:
        later = {"linux-image-6.12-amd64"} if self._has(_LATER) else set()
        return {"linux-image-amd64", *later}

    def _has(self, release: str) -> bool:
        return (self.root / f"boot/vmlinuz-{release}").exists()

    def succeeds(self, command: str, **how: object) -> Done:
        output = ""
        if " install " in command:
            self._add(_LATER)
        elif " purge " in command:
            (self.root / f"boot/vmlinuz-{_LATER}").unlink()
            if not self.sloppy:
                shutil.rmtree(self.root / f"usr/lib/modules/{_LATER}")
        elif command == "dkms status":
            built = [each for each in (_FIRST, _LATER) if self._has(each)]
            built.remove(_LATER) if self.lazy else None
            output = "".join(
                f"ubypass/{VERSION}, {each}, x86_64: installed\n" for each in built
            )
        elif command.startswith("modinfo"):
            output = f"{command.split()[2]} SMP preempt\n"
        return Done(command, 0, output, 0.0, 0.0)


def test_dkms_builds_and_removes(tmp_path: Path) -> None:
    machine = _Machine(tmp_path)
    kernel = install(machine, "bookworm")
    assert kernel == _KERNEL
    remove(machine, kernel)
    assert not (tmp_path / f"usr/lib/modules/{_LATER}").exists()


def test_a_kernel_without_the_module_is_seen(tmp_path: Path) -> None:
    machine = _Machine(tmp_path)
    machine.lazy = True
    with pytest.raises(Failed, match="dkms status lacks"):
        install(machine, "bookworm")


def test_a_module_that_stays_is_seen(tmp_path: Path) -> None:
    machine = _Machine(tmp_path)
    kernel = install(machine, "bookworm")
    machine.sloppy = True
    with pytest.raises(Failed, match="there is still"):
        remove(machine, kernel)


class _Booted(Played):
    """Its boot loader is told by ``grub-reboot``; ``blind``: ub doctor does not see."""

    blind = False
    running = _LATER

    def type(self, command: str, *, timeout: float = 0) -> Done:
        done = super().type(command)
        if command == "uname -r":
            return Done(command, 0, f"{self.running}\n", 1.0, 1.0)
        if command != "ub doctor --json":
            return done
        told = [each for each in self.typed if "grub-reboot" in each]
        unset = any("unset next_entry" in each for each in self.typed)
        next_ = _FIRST if told and _FIRST in told[-1] and not unset else _LATER
        how = "the running kernel" if next_ == _LATER else "with the module"
        title = "GNU/Linux" if unset else f"GNU/Linux, with Linux {next_}"
        if self.blind:
            next_, how, title = _LATER, "the running kernel", "GNU/Linux"
        check = {"name": "next boot", "found": f"{next_}, {how} (GRUB: '{title}')"}
        return Done(command, 0, json.dumps({"checks": [check]}), 1.0, 1.0)


def test_it_boots_and_the_next_boot_is_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    guest = _Booted()
    boosts(guest, "running\n", _KERNEL, _FIRST)
    assert f"on {_LATER} the service boosts" in capsys.readouterr().out
    assert "rm /boot/grub/grub.cfg /boot/grub/grubenv" in guest.typed


def test_another_kernel_and_a_wrong_prediction_are_seen() -> None:
    guest = _Booted()
    guest.running = _FIRST
    with pytest.raises(Failed, match="runs instead"):
        boosts(guest, "running\n", _KERNEL, _FIRST)
    guest = _Booted()
    guest.blind = True
    with pytest.raises(Failed, match="and ub doctor says"):
        boosts(guest, "running\n", _KERNEL, _FIRST)
