# SPDX-License-Identifier: GPL-2.0-only
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.lab import virtiofs

_UNSHARE = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-m"]

_namespaces = pytest.mark.skipif(
    subprocess.run([*_UNSHARE, "true"], capture_output=True).returncode != 0,
    reason="no namespaces for this user",
)


def _touch(how: str, file: Path) -> subprocess.CompletedProcess[str]:
    """What a program says that writes there, in a namespace of its own."""
    inside = [sys.executable, "-m", virtiofs.__name__, how, "/bin/sh", "-c"]
    command = [*_UNSHARE, *inside, f"echo x > {file}"]
    return subprocess.run(command, capture_output=True, text=True)


@_namespaces
def test_read_only_is_what_the_kernel_enforces(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert "Read-only file system" in _touch("ro", file).stderr
    assert not file.exists()
    assert _touch("rw", file).returncode == 0
    assert file.read_text() == "x\n"
    # Here nothing has changed.
    (tmp_path / "other").touch()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of virtiofsd: it tells its arguments to who connects, and waits."""
    path = tmp_path / "virtiofsd"
    path.write_text(
        f"#!{sys.executable}\n"
        "import socket, sys, time\n"
        "listening = socket.socket(fileno=int(sys.argv[1].removeprefix('--fd=')))\n"
        "listening.accept()[0].sendall(' '.join(sys.argv[2:]).encode())\n"
        "time.sleep(1000)\n"
    )
    path.chmod(0o755)
    monkeypatch.setattr(virtiofs, "_PLACES", (tmp_path / "nothing", path))
    return path


@_namespaces
@pytest.mark.usefixtures("program")
def test_each_share_is_served_at_a_socket_of_its_own() -> None:
    shares = [("root", Path("/"), True), ("rw", Path("/srv/a,b"), False)]
    told = []
    with virtiofs.served(shares) as sockets:
        for place in sockets:
            with socket.socket(socket.AF_UNIX) as near:
                near.settimeout(60)
                near.connect(str(place))
                told.append(near.recv(4096).decode())
    assert told == [
        "-f -o source=/,cache=always,sandbox=chroot",
        "-f -o source=/srv/a\\,b,cache=auto,sandbox=chroot",
    ]
    assert not any(place.exists() for place in sockets)


def test_without_the_program_its_package_is_named(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert virtiofs.find_virtiofsd() == program
    monkeypatch.setattr(virtiofs, "_PLACES", ())
    with pytest.raises(UbError) as caught, virtiofs.served([]):
        pass
    assert "apt install virtiofsd" in caught.value.hint


@pytest.mark.usefixtures("program")
def test_without_unshare_its_package_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(UbError) as caught,
        virtiofs.served([("root", Path("/"), True)]),
    ):
        pass
    assert "apt install util-linux" in caught.value.hint
