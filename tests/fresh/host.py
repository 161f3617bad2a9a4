# SPDX-License-Identifier: GPL-2.0-only
"""How this machine gets its packages: a fresh one gets them the same way.

Mirrors, proxies, indexes and certificates are those of this machine's apt and pip. None
is named here.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CERTIFICATES", "PIP_FILE", "Pip", "apt_options", "mirror", "pip"]

#: Where a fresh machine finds what of pip's settings is no variable.
PIP_FILE = "/etc/host-pip.conf"
CERTIFICATES = "/etc/host-certificates.crt"

_CERTIFICATES_HERE = Path("/etc/ssl/certs/ca-certificates.crt")
_PASSED_ON = re.compile(
    r"Acquire::(https?|ftp|Check-Valid-Until|Check-Date|Retries|ForceIPv4)\b"
)


def mirror(suite: str) -> str:
    """The address from which apt gets ``suite``'s main part; "" if it does not."""
    form = "$(ORIGIN) $(RELEASE) $(COMPONENT) $(REPO_URI)"
    command = ["apt-get", "indextargets", "--format", form, "Created-By: Packages"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        origin, release, component, address = line.rsplit(" ", 3)
        if (origin, release, component) == ("Debian", suite, "main"):
            return address
    return ""


def apt_options() -> str:
    """Settings of apt that decide whether it reaches its mirrors, for apt.conf.d."""
    done = subprocess.run(
        ["apt-config", "dump"], capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stdout.splitlines() if _PASSED_ON.match(line)]
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class Pip:
    """Its settings: variables, files with their contents, directories they name."""

    variables: dict[str, str]
    files: dict[str, bytes]
    directories: tuple[Path, ...]


def pip() -> Pip:
    """What pip is told here, by whoever: machine, user or environment."""
    variables = {k: v for k, v in os.environ.items() if k.startswith("PIP_")}
    texts = []
    for name in "/etc/pip.conf", "/etc/xdg/pip/pip.conf":
        if Path(name).is_file():
            texts.append(Path(name))
    files = {str(path): path.read_bytes() for path in texts}
    own = [
        Path(variables.pop("PIP_CONFIG_FILE", os.devnull)),
        Path("~/.config/pip/pip.conf").expanduser(),
        Path("~/.pip/pip.conf").expanduser(),
    ]
    found = next((path for path in own if path.is_file()), None)
    if found is not None:
        files[PIP_FILE] = found.read_bytes()
        variables["PIP_CONFIG_FILE"] = PIP_FILE
    # A file of the package ca-certificates is made anew where that is installed.
    trusted = Path(variables.get("PIP_CERT", _CERTIFICATES_HERE))
    if trusted.is_file():
        files[CERTIFICATES] = trusted.read_bytes()
        variables["PIP_CERT"] = CERTIFICATES
    named = b"\n".join(files[name] for name in files if name.endswith(".conf")).decode()
    named += "\n" + "\n".join(variables.values())
    directories = []
    for word in re.findall(r"(?:file://)?(/[^\s'\",]+)", named):
        path = Path(word)
        if path.is_dir():
            # An index refers to files beside it.
            directories.append(path.parent if path.name == "simple" else path)
        elif path.is_file() and path != _CERTIFICATES_HERE:
            files[word] = path.read_bytes()
    return Pip(variables, files, tuple(dict.fromkeys(directories)))
