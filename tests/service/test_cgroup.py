# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from ubypass.service.cgroup import containers, own_path, units

_ID = "0123456789abcdef" * 4
_POD = "3f2c1b0a-1111-2222-3333-444455556666"
_POD_SYSTEMD = _POD.replace("-", "_")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (
            "0::/system.slice/redis-server.service\n",
            "/system.slice/redis-server.service",
        ),
        # Version 1 beside an unused version 2.
        (
            "12:pids:/a\n1:name=systemd:/system.slice/nginx.service\n0::/\n",
            "/system.slice/nginx.service",
        ),
        ("12:cpu,cpuacct:/a\n1:name=systemd:/b\n", "/b"),
        ("0::/\n", "/"),
        # A colon in a name.
        ("0::/machine.slice/a:b.scope\n", "/machine.slice/a:b.scope"),
        ("", ""),
    ],
)
def test_the_path_of_a_process(text: str, path: str) -> None:
    assert own_path(text) == path


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/system.slice/nginx.service", ("system.slice", "nginx.service")),
        # Seen from another control group's namespace, that of a container.
        ("/../../system.slice/nginx.service", ("system.slice", "nginx.service")),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope",
            (
                "user.slice",
                "user-1000.slice",
                "user@1000.service",
                "app.slice",
                "x.scope",
            ),
        ),
        # A service with groups of its own below.
        ("/system.slice/a.service/workers/1", ("system.slice", "a.service")),
        ("/system.slice/_cgroup.service", ("system.slice", "cgroup.service")),
        ("/docker/abc", ()),
        ("/.service", ()),
        ("", ()),
    ],
)
def test_units(path: str, names: tuple[str, ...]) -> None:
    assert units(path) == names


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (f"/system.slice/docker-{_ID}.scope", (_ID, _ID[:12])),
        (f"/docker/{_ID}", (_ID, _ID[:12])),
        (f"/machine.slice/libpod-{_ID}.scope/container", (_ID, _ID[:12])),
        (
            f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
            f"{_POD_SYSTEMD}.slice/cri-containerd-{_ID}.scope",
            (_POD, _ID, _ID[:12]),
        ),
        (f"/kubepods/besteffort/pod{_POD}/{_ID}", (_POD, _ID, _ID[:12])),
        ("/lxc.payload.web-1/system.slice/nginx.service", ("web-1",)),
        ("/machine.slice/machine-db.scope/payload", ("db",)),
        ("/system.slice/docker.service", ()),
        ("/system.slice/docker-xyz.scope", ()),
        ("", ()),
    ],
)
def test_containers(path: str, names: tuple[str, ...]) -> None:
    assert containers(path) == names
