# SPDX-License-Identifier: GPL-2.0-only
"""The package archive of one Debian suite, beside the host's own.

A suite (``trixie``, ``trixie-backports``, ``sid``) has lists of packages of its own in
the cache, ``apt/SUITE``; of the host's apt only its settings are used (a proxy, say),
and from where it takes Debian's packages.
Nothing needs privileges and nothing is installed. This file must not know what packages
are fetched for.
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

#: A source of the host in what ``apt-cache policy`` prints: URI, and label of Debian.
_SOURCE = re.compile(
    r"^ *-?\d+ (\S+) \S+/main \S+ Packages\n"
    r" +release .*\bo=Debian,.*\bl=(Debian|Debian-Security),",
    re.MULTILINE,
)
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SUITE = re.compile(r"[a-z]+(-backports)?")
_ROLLING = ("sid", "unstable", "testing", "experimental")
_FRESH = 24 * 3600.0  # seconds that lists are used before apt is asked for newer ones


@dataclass(frozen=True)
class Archive:
    """Packages of ``suite``; those that the host's own apt knows if it is None."""

    suite: str | None = None

    @property
    def home(self) -> Path:
        """Where a suite's lists are."""
        return cache_dir() / "apt" / str(self.suite)

    def environment(self) -> dict[str, str]:
        """Variables with which apt's programs look at this archive."""
        env = {**os.environ, "LC_ALL": "C.UTF-8"}
        if self.suite is not None:
            env["APT_CONFIG"] = str(self.home / "apt.conf")
        return env

    def cache(self, *arguments: str) -> str:
        """What apt-cache prints; nothing where there is no apt."""
        try:
            done = child.run(
                ["apt-cache", *arguments],
                capture_output=True,
                text=True,
                env=self.environment(),
            )
        except OSError:
            return ""
        said: str = done.stdout
        return said

    def depends(self, package: str) -> list[str]:
        """Names of the packages ``package`` depends on; empty if apt does not know."""
        said = self.cache("depends", package)
        return re.findall(r"^\s*\|?Depends: ([^\s<>]+)$", said, re.MULTILINE)

    def refresh(self) -> None:
        """Fetch a suite's lists, if there are none or if they are older than a day.

        Raises UbError if there are none and none can be had.
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
            said = re.findall(r"^[EW]: (.*)", done.stderr, re.MULTILINE)
            why = said[0] if said else f"apt-get returned {done.returncode}"
            raise UbError(
                f"cannot fetch the package lists of {self.suite}: {why}",
                "see to network and proxy, and that there is such a suite",
            )

    def _configure(self) -> None:
        if shutil.which("apt-get") is None:
            raise UbError(
                f"cannot look at {self.suite}: this system has no apt-get",
                "suites can be chosen on Debian and its like only",
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
    """The archive of ``suite``, with its lists at hand; None for the host's own.

    Raises UbError for what cannot be the name of a suite, and if its lists cannot be
    had.
    """
    if suite is not None and not _SUITE.fullmatch(suite):
        raise UbError(
            f"'{suite}' is not a suite of Debian",
            "a suite is called trixie, trixie-backports or sid, for example",
        )
    archive = Archive(suite)
    archive.refresh()
    return archive


def _preference(suite: str) -> str:
    """Backports are taken only if asked for; of the others the newest is."""
    backports = suite.endswith("-backports")
    return f'APT::Default-Release "{suite}";\n' if backports else ""


def _mirrors() -> tuple[str, str]:
    """From where the host has Debian's packages, and from where those of security, ""
    if that cannot be told. Raises UbError where it has none.
    """
    found = {label: uri for uri, label in _SOURCE.findall(Archive().cache("policy"))}
    mirror = found.get("Debian")
    if mirror is None:
        raise UbError(
            "this system's apt knows no archive of Debian to take suites from",
            "name one in /etc/apt/sources.list, then apt-get update",
        )
    # Mirrors have the one beside the other.
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
