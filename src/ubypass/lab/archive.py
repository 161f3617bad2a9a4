# SPDX-License-Identifier: GPL-2.0-only
"""The package archive of one Debian suite, beside the host's own.

A suite (``trixie``, ``trixie-backports``, ``sid``) has package lists of its own in the
cache, ``apt/SUITE``. Only the settings of the host's apt (such as a proxy) and its
Debian mirror are used. Nothing needs privileges and nothing is installed. Must not
depend on the purpose of the packages.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError
from ubypass.places import cache_dir

__all__ = ["Archive", "of_suite"]

#: A source of the host in the output of ``apt-cache policy``: URI, and Debian's label.
_SOURCE = re.compile(
    r"^ *-?\d+ (\S+) \S+/main \S+ Packages\n"
    r" +release .*\bo=Debian,.*\bl=(Debian|Debian-Security),",
    re.MULTILINE,
)
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SUITE = re.compile(r"[a-z]+(-backports)?")
_ROLLING = ("sid", "unstable", "testing", "experimental")
_FRESH = 24 * 3600.0  # seconds until package lists are fetched again


@dataclass(frozen=True)
class Archive:
    """Packages of ``suite``; None: the packages of the host's own apt."""

    suite: str | None = None

    @property
    def home(self) -> Path:
        """The directory of the suite's lists."""
        return cache_dir() / "apt" / str(self.suite)

    def environment(self) -> dict[str, str]:
        """Environment variables that make apt's programs use this archive."""
        env = {**os.environ, "LC_ALL": "C.UTF-8"}
        if self.suite is not None:
            env["APT_CONFIG"] = str(self.home / "apt.conf")
        return env

    def cache(self, *arguments: str) -> str:
        """The output of apt-cache; "" without apt."""
        try:
            done = child.run(
                ["apt-cache", *arguments],
                capture_output=True,
                text=True,
                env=self.environment(),
            )
        except OSError:
            return ""
        output: str = done.stdout
        return output

    def depends(self, package: str) -> list[str]:
        """Names of the packages ``package`` depends on; empty if apt does not know."""
        output = self.cache("depends", package)
        return re.findall(r"^\s*\|?Depends: ([^\s<>]+)$", output, re.MULTILINE)

    def refresh(self) -> None:
        """Fetch a suite's lists, if there are none or if they are older than a day.

        Raises UbError if there are none and the fetch fails.
        """
        if self.suite is None:
            return
        stamp = self.home / "updated"
        with suppress(OSError):
            if time.time() - stamp.stat().st_mtime < _FRESH:
                return
        self._configure()
        done = child.run(
            ["apt-get", "update", "-q"],
            capture_output=True,
            text=True,
            env=self.environment(),
        )
        if done.returncode == 0 and "Failed to fetch" not in done.stderr:
            stamp.touch()
        elif not stamp.exists():
            output = re.findall(r"^[EW]: (.*)", done.stderr, re.MULTILINE)
            why = output[0] if output else f"apt-get returned {done.returncode}"
            raise UbError(
                f"cannot fetch the package lists of {self.suite}: {why}",
                "check the network, the proxy, and the name of the suite",
            )

    def _configure(self) -> None:
        if shutil.which("apt-get") is None:
            raise UbError(
                f"cannot read {self.suite}: this system has no apt-get",
                "suites can be chosen only on Debian and its derivatives",
            )
        home = self.home
        (home / "state" / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (home / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        (home / "status").touch()
        (home / "sources.list").write_text(_sources(str(self.suite)))
        (home / "apt.conf").write_text(
            f'Dir::State "{home}/state";\n'
            f'Dir::State::status "{home}/status";\n'
            f'Dir::Cache "{home}/cache";\n'
            f'Dir::Etc::sourcelist "{home}/sources.list";\n'
            'Dir::Etc::sourceparts "-";\n'
            'Dir::Etc::preferences "-";\n'
            'Dir::Etc::preferencesparts "-";\n'
            f"{_preference(str(self.suite))}"
            # The unprivileged user of apt cannot write into the cache.
            'APT::Sandbox::User "root";\n'
            'APT::Architecture "amd64";\n'
            'APT::Architectures "amd64";\n'
            'Acquire::Languages "none";\n'
        )


def of_suite(suite: str | None) -> Archive:
    """The archive of ``suite``, with lists in the cache; None for the host's own.

    Raises UbError for an invalid name, and if the lists cannot be fetched.
    """
    if suite is not None and not _SUITE.fullmatch(suite):
        raise UbError(
            f"'{suite}' is not a suite of Debian",
            "examples of suites: trixie, trixie-backports, sid",
        )
    archive = Archive(suite)
    archive.refresh()
    return archive


def _preference(suite: str) -> str:
    """The default release for backports, which apt does not choose by itself; for other
    suites "": apt chooses the newest package.
    """
    backports = suite.endswith("-backports")
    return f'APT::Default-Release "{suite}";\n' if backports else ""


def _mirrors() -> tuple[str, str]:
    """URIs of the host's Debian mirror and of its security archive ("" if unknown).

    Raises UbError if the host has no Debian mirror.
    """
    found = {label: uri for uri, label in _SOURCE.findall(Archive().cache("policy"))}
    mirror = found.get("Debian")
    if mirror is None:
        raise UbError(
            "apt of this system has no Debian archive configured",
            "add one to /etc/apt/sources.list, then: apt-get update",
        )
    # Mirrors have both archives in the same directory.
    beside = re.sub(r"/debian/?$", "/debian-security", mirror)
    return mirror, found.get("Debian-Security", beside if beside != mirror else "")


def _sources(suite: str) -> str:
    mirror, security = _mirrors()
    keys = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
    base = suite.removesuffix("-backports")
    lines = [f"deb {keys}{mirror} {base} main"]
    if base not in _ROLLING:
        lines.append(f"deb {keys}{mirror} {base}-updates main")
        if security:
            lines.append(f"deb {keys}{security} {base}-security main")
    if suite != base:
        lines.append(f"deb {keys}{mirror} {suite} main")
    return "".join(f"{line}\n" for line in lines)
