# SPDX-License-Identifier: GPL-2.0-only
"""What the path of a control group says: units of systemd, containers, pods.

Text only; nothing is read from the machine.
"""

from __future__ import annotations

import re

__all__ = ["containers", "own_path", "units"]

_UNIT = re.compile(r".\.(service|scope|slice|socket|mount|swap)$")
_ID = r"([0-9a-f]{12,64})"
_SHORT = 12  # digits of an id that container tools print

#: Names of groups, by who makes them.
_CONTAINERS = (
    # Docker, Podman, containerd and CRI-O with the systemd driver.
    re.compile(rf"(?:docker|libpod|cri-containerd|crio|nerdctl)-{_ID}\.scope"),
    # The same with the cgroupfs driver: a directory of the id alone.
    re.compile(rf"(?:crio-|libpod-)?{_ID}"),
    re.compile(r"lxc\.payload\.(.+)"),
    # systemd-nspawn and machinectl.
    re.compile(r"machine-(.+)\.scope"),
)
_POD = re.compile(r"(?:.*-)?pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")


def own_path(text: str) -> str:
    """The group's path in ``/proc/PID/cgroup``; "" if there is none.

    Of the hierarchy of version 2; where processes are in none but its root, of
    systemd's own one of version 1.
    """
    found = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        found[controllers] = path
    modern = found.get("", "")
    return modern if modern not in ("", "/") else found.get("name=systemd", modern)


def units(path: str) -> tuple[str, ...]:
    """The units of systemd that the group is in, from the outermost."""
    return tuple(_plain(part) for part in path.split("/") if _UNIT.search(part))


def containers(path: str) -> tuple[str, ...]:
    """Names of the container and of the pod that the group belongs to.

    Ids in full and with twelve digits, names of LXC and nspawn containers, ids of pods
    with hyphens. Labels are known to container runtimes only, and are not in it.
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
    """systemd puts an underscore before names that the kernel could mean, too."""
    return name.removeprefix("_")
