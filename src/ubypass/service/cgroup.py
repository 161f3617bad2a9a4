# SPDX-License-Identifier: GPL-2.0-only
"""Units of systemd, containers and pods by the path of a control group.

Works on text only; nothing is read from the machine.
"""

from __future__ import annotations

import re

__all__ = ["containers", "own_path", "units"]

_UNIT = re.compile(r".\.(service|scope|slice|socket|mount|swap)$")
_ID = r"([0-9a-f]{12,64})"
_SHORT = 12  # digits of an id that container tools print

#: Patterns of control group names, one for each kind of runtime.
_CONTAINERS = (
    # Docker, Podman, containerd and CRI-O with the systemd driver.
    re.compile(rf"(?:docker|libpod|cri-containerd|crio|nerdctl)-{_ID}\.scope"),
    # The same runtimes with the cgroupfs driver: a directory named by the id.
    re.compile(rf"(?:crio-|libpod-)?{_ID}"),
    re.compile(r"lxc\.payload\.(.+)"),
    # systemd-nspawn and machinectl.
    re.compile(r"machine-(.+)\.scope"),
)
_POD = re.compile(r"(?:.*-)?pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")


def own_path(text: str) -> str:
    """The path of the control group in the text of ``/proc/PID/cgroup``; "" if none.

    Prefers the hierarchy of version 2; if the process is in its root, the version 1
    hierarchy of systemd.
    """
    found = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        found[controllers] = path
    modern = found.get("", "")
    return modern if modern not in ("", "/") else found.get("name=systemd", modern)


def units(path: str) -> tuple[str, ...]:
    """The systemd units that contain the group, from the outermost."""
    return tuple(_plain(part) for part in path.split("/") if _UNIT.search(part))


def containers(path: str) -> tuple[str, ...]:
    """Names of the container and the pod that the group belongs to.

    Ids in full and with twelve digits, names of LXC and nspawn containers, ids of pods
    with hyphens. Labels are not included: only container runtimes have them.
    """
    found: dict[str, None] = {}
    for part in path.split("/"):
        for pattern in _CONTAINERS:
            if match := pattern.fullmatch(part):
                name = match[1]
                found[name] = None
                if re.fullmatch(_ID, name):
                    found[name[:_SHORT]] = None
                break
        if match := _POD.fullmatch(part.removesuffix(".slice")):
            found[match[1].replace("_", "-")] = None
    return tuple(found)


def _plain(name: str) -> str:
    """Undo systemd's escape of names that clash with the kernel's: an underscore."""
    return name.removeprefix("_")
