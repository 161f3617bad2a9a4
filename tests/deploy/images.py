# SPDX-License-Identifier: GPL-2.0-only
"""What the Dockerfiles run, on a fresh Debian in a directory in place of their base.

Nothing is loaded: the module is built for a kernel of the archive.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.fresh.machine import Failed, Machine, fresh
from tests.places import ROOT
from ubypass.version import VERSION

__all__ = ["build_images", "commands"]

_PLACE = ROOT / "deploy" / "kubernetes"


def commands(dockerfile: Path) -> list[str]:
    """Its RUN lines, in one line each and without options of the builder."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    runs = [line[4:] for line in lines if line.startswith("RUN ")]
    return [re.sub(r"^(\s*--\S+)+\s+", "", run) for run in runs]


def build_images(place: Path, debs: list[Path], suite: str) -> None:
    """Raises Failed where an image would not be built, or not work."""
    machine = fresh(place, ROOT, f"images-{suite}", security=True, suite=suite)
    (machine.root / "debs").mkdir()
    for deb in debs:
        shutil.copy(deb, machine.root / "debs")
    (tool,) = commands(_PLACE / "image" / "Dockerfile")
    machine.succeeds(tool)
    program = machine.root / "usr/libexec/ubypass-pods"
    program.parent.mkdir(exist_ok=True)
    shutil.copy(_PLACE / "image" / "pods.py", program)
    said = machine.succeeds("ub --version && /usr/libexec/ubypass-pods --help").output
    if not said.startswith(f"ub {VERSION}\n") or "--once" not in said:
        raise Failed(f"the tool's image says {said}")
    kept = [path.name for path in (machine.root / "usr/src").glob("ubypass-*")]
    if kept != [f"ubypass-{VERSION}"]:
        raise Failed(f"the tool's image has sources of the module: {kept}")
    release = _newest(machine)
    for run in commands(_PLACE / "module" / "Dockerfile"):
        machine.succeeds(f"KERNEL_FULL_VERSION={release} && {run}")
    made = f"/opt/lib/modules/{release}/ub.ko"
    said = machine.succeeds(f"modinfo -F version {made}").output
    found = machine.succeeds(f"modinfo -b /opt -k {release} -n ub").output.strip()
    if said != f"{VERSION}\n" or found != made:
        raise Failed(f"the module's image has {found!r} of version {said!r}")
    shutil.rmtree(machine.root)


def _newest(machine: Machine) -> str:
    """The kernel whose headers the archive's own package brings."""
    said = machine.succeeds(
        "apt-get update -qq && apt-cache depends linux-headers-amd64"
    )
    found = re.findall(r"Depends: linux-headers-(\d\S+)", said.output)
    if not found:
        raise Failed(f"there are no headers in the archive:\n{said.output}")
    return str(found[0])
