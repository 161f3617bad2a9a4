# SPDX-License-Identifier: GPL-2.0-only
"""What the programs made for it say of ``deploy/``: Ansible's, and Kubernetes' schemas.

They come from PyPI (``deploy`` of pyproject.toml) into an environment of their own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.deploy.usage import documents
from tests.fresh.machine import Failed
from tests.places import ROOT

__all__ = ["KUBERNETES", "judge_manifests", "judge_plays", "tools"]

#: The oldest and the newest whose schemas are asked.
KUBERNETES = ("1.28", "1.37")
_PLAYS = ROOT / "deploy" / "ansible"
_MANIFESTS = ROOT / "deploy" / "kubernetes"
#: Of a custom resource, which these schemas do not have (test_manifests.py).
_FOREIGN = ("Module", "Kustomization")


def tools(place: Path) -> Path:
    """The directory of their programs; they are installed there if they are not yet."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted: list[str] = project["project"]["optional-dependencies"]["deploy"]
    stamp = place / "installed.json"
    if not stamp.is_file() or json.loads(stamp.read_text()) != wanted:
        print("installing what judges deploy/, once", flush=True)
        _run([sys.executable, "-m", "venv", "--clear", str(place)])
        pip = [str(place / "bin" / "pip"), "--disable-pip-version-check", "--quiet"]
        _run([*pip, "install", *wanted])
        stamp.write_text(json.dumps(wanted))
    return place / "bin"


def judge_plays(programs: Path) -> None:
    """Raises Failed where Ansible or its linter has something to say."""
    playbook = str(programs / "ansible-playbook")
    _run([playbook, "-i", "inventory.yml", "--syntax-check", "site.yml"], programs)
    lint = [str(programs / "ansible-lint"), "--offline", "--nocolor", "--strict"]
    _run([*lint, "--profile", "production"], programs)


def judge_manifests(programs: Path, place: Path) -> int:
    """Raises Failed where they do not meet the schemas; how many were looked at."""
    place.mkdir(parents=True, exist_ok=True)
    files = []
    for number, each in enumerate(_applied()):
        if each["kind"] not in _FOREIGN:
            file = place / f"{number}-{each['kind']}.json"
            file.write_text(json.dumps(each))
            files.append(str(file))
    for version in KUBERNETES:
        command = [str(programs / "kubernetes-validate"), "-k", version, "--strict"]
        _run([*command, *files], programs)
    return len(files)


def _applied() -> Iterator[Any]:
    """As ``kubectl apply -k`` has them, if there is a kubectl; else as they stand."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        for path in sorted(_MANIFESTS.glob("*.yaml")):
            yield from documents(path)
        return
    made = _MANIFESTS.parents[1] / "build" / "deploy" / "applied.yaml"
    made.write_text(_run([kubectl, "kustomize", str(_MANIFESTS)]), "utf-8")
    yield from documents(made)


def _run(words: Sequence[str], programs: Path | None = None) -> str:
    """What a program prints. Raises Failed unless it succeeds."""
    environment = {**os.environ, "ANSIBLE_HOME": str(ROOT / "build/deploy/ansible")}
    if programs is not None:
        # They call each other by name.
        environment["PATH"] = f"{programs}:{environment.get('PATH', '')}"
    done = subprocess.run(
        words, cwd=_PLAYS, env=environment, capture_output=True, text=True
    )
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise Failed(f"{' '.join(words[:3])} ended with {done.returncode}:\n{said}")
    return done.stdout
