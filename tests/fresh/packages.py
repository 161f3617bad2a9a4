# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.fresh.packages [SUITE...]``: the packages' life on fresh Debians.

Installed, used, upgraded, removed and purged, in a root directory of each suite, whose
files must be the same before and after. The kernel there is that of this machine: the
module is loaded in the lab, which boots the kernel for which it was built. Under a
systemd of their own they run in `tests.fresh.live`.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import sys
import time
from pathlib import Path

from tests.fresh.boosted import boosted
from tests.fresh.listing import difference, listing
from tests.fresh.machine import Failed, Machine, fresh
from tests.fresh.works import kernel_release, modules, works
from tests.packaging.programs import program
from ubypass.version import VERSION

__all__ = ["QUIET", "SUITES", "dependencies", "life", "main"]

SUITES = ("bookworm", "trixie")
_NEXT = f"{VERSION}.1"
_ROOT = Path(__file__).resolve().parents[2]
_NEEDED = ("debootstrap", "unshare", "chroot", "apt-get")
_HEADERS = "linux-headers-amd64"
_NODE_EXPORTER = "var/lib/prometheus/node-exporter"
_CONFIG = "etc/ubypass/config.toml"
QUIET = "DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0"


def life(
    machine: Machine, old: list[Path], new: list[Path], lab_suite: str | None
) -> None:
    """Raises Failed where an administrator would complain.

    ``lab_suite``: from where the lab has its kernel; without, it is not used.
    """
    machine.succeeds(f"{QUIET} update")
    needed = dependencies(machine, old)
    machine.succeeds(f"{QUIET} --no-install-recommends install {needed}")
    release = kernel_release(machine)
    # A kernel without modules of its own has no index yet, and keeps the one it gets.
    machine.succeeds(f"depmod {release}")
    (machine.root / _NODE_EXPORTER).mkdir(parents=True)
    before = listing(machine.root)

    done = machine.succeeds(f"{QUIET} --no-install-recommends install {_words(old)}")
    print(f"  installed in {done.seconds:.0f} s, {done.cpu:.0f} s of CPU", flush=True)
    works(machine, VERSION, release)
    if lab_suite is not None:
        print(f"  {boosted(machine.root, release, lab_suite)}", flush=True)
    machine.succeeds(f"{QUIET} --no-install-recommends install {_words(new)}")
    works(machine, _NEXT, release)
    if (machine.root / f"usr/src/ubypass-{VERSION}").exists():
        raise Failed("an upgrade leaves the sources of the version before")

    metrics = _used(machine.root)
    machine.succeeds(f"{QUIET} remove ubypass ubypass-dkms")
    if (machine.root / "usr/bin/ub").exists():
        raise Failed("removed, and /usr/bin/ub is still there")
    if left := modules(machine, release):
        raise Failed(f"removed, and {left[0]} is still there")
    if metrics.exists():
        raise Failed("removed, and node_exporter still exports its metrics")
    if not (machine.root / _CONFIG).exists():
        raise Failed("removed, and not purged, and the configuration is gone")
    # apt may have forgotten them by now, and knows no others.
    machine.succeeds("dpkg --purge ubypass ubypass-dkms")
    if changes := difference(before, listing(machine.root)):
        shown = "\n".join(f"    {line}" for line in changes[:20])
        raise Failed(f"{len(changes)} files differ after the purge:\n{shown}")


def _used(root: Path) -> Path:
    """Files of a service that has run, and of its operator; the metrics.

    There is no systemd here to run it.
    """
    metrics = root / _NODE_EXPORTER / "ubypass.prom"
    made = ("var/cache/ubypass/x", "run/ubypass/service.paused", _CONFIG)
    for file in *(root / name for name in made), metrics:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("# nothing\n")
    return metrics


def dependencies(machine: Machine, debs: list[Path]) -> str:
    """What apt would install besides, by name."""
    command = f"{QUIET} --no-install-recommends -s install {_words(debs)} {_HEADERS}"
    said = machine.succeeds(command).output
    names = re.findall(r"^Inst (\S+)", said, re.MULTILINE)
    return " ".join(name for name in names if not name.startswith("ubypass"))


def _words(debs: list[Path]) -> str:
    return " ".join(map(str, debs))


def main() -> int:
    """Run it for each suite; 1 if one failed, 2 if this machine cannot."""
    parser = argparse.ArgumentParser(prog="tests.fresh.packages", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE")
    parser.add_argument("--keep", action="store_true", help="leave the machines")
    parser.add_argument("--no-lab", action="store_true", help="boot no machine")
    parser.add_argument(
        "--built", action="store_true", help="take what was built before"
    )
    args = parser.parse_args()
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if os.getuid() != 0 or missing:
        print("this needs root and", ", ".join(missing or _NEEDED), file=sys.stderr)
        return 2
    place = _ROOT / "build" / "fresh"
    place.mkdir(parents=True, exist_ok=True)
    debs = place / "debs"
    if not args.built:
        _build(debs)
    old, new = (sorted(debs.glob(f"*_{v}_*.deb")) for v in (VERSION, _NEXT))
    failed = 0
    for suite in args.suites or SUITES:
        try:
            _try(suite, place, old, new, lab=not args.no_lab, keep=args.keep)
        except Failed as error:
            log = place / f"packages-{suite}.log"
            print(f"  FAILED: {error}\n  all of it: {log}", flush=True)
            failed = 1
    return failed


def _build(debs: Path) -> None:
    """This version, and a later one to upgrade to."""
    deb = program("deb")
    shutil.rmtree(debs, ignore_errors=True)
    debs.mkdir()
    for version in _NEXT, VERSION:
        for made in deb.build(deb.OLDEST, version):
            shutil.copy(made, debs)
            if version != VERSION:
                made.unlink()


def _try(
    suite: str, place: Path, old: list[Path], new: list[Path], *, lab: bool, keep: bool
) -> None:
    name = f"packages-{suite}"
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two would remove each other's files
        print(f"packages on {suite}", flush=True)
        begun = time.monotonic()
        machine = fresh(place, place / "debs", name, security=True, suite=suite)
        try:
            life(machine, old, new, suite if lab else None)
        finally:
            if not keep:
                shutil.rmtree(machine.root)
    print(f"  ok, {time.monotonic() - begun:.0f} s in all", flush=True)


if __name__ == "__main__":
    sys.exit(main())
