# SPDX-License-Identifier: GPL-2.0-only
"""Verbs of ``ub``: each is a module that defines ``VERB``.

A verb with verbs of its own is a package; each of its modules defines ``VERB``, and a
new verb is a new file.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Verb", "add_verbs", "group", "no_options", "verbs_below"]

_Configure = Callable[[argparse.ArgumentParser], None]


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb of the command line.

    ``name``: the word to type, and the name of the module; ``help``: one line about it.
    ``configure`` declares the options, and may set a longer description; ``run`` does
    the work and returns the exit status, or raises UbError; None: the verbs below do.
    """

    name: str
    help: str
    configure: _Configure
    run: Callable[[argparse.Namespace], int] | None


def no_options(parser: argparse.ArgumentParser) -> None:
    """The ``configure`` of a verb without options."""


def add_verbs(
    parser: argparse.ArgumentParser, verbs: Sequence[Verb], metavar: str = "VERB"
) -> None:
    """Require one of ``verbs`` as an argument of ``parser``."""
    subparsers = parser.add_subparsers(metavar=metavar, required=True)
    for verb in verbs:
        sub = subparsers.add_parser(verb.name, help=verb.help, description=verb.help)
        verb.configure(sub)
        if verb.run is not None:
            sub.set_defaults(run=verb.run)


def verbs_below(package: str) -> Iterator[Verb]:
    """The verbs of the modules in ``package`` (its full name), by name.

    Modules without a ``VERB`` are skipped.
    """
    path = importlib.import_module(package).__path__
    for module in sorted(pkgutil.iter_modules(path), key=lambda each: each.name):
        verb = getattr(
            importlib.import_module(f"{package}.{module.name}"), "VERB", None
        )
        if isinstance(verb, Verb):
            yield verb


def group(package: str, help_line: str) -> Verb:
    """The verb whose verbs are the modules of ``package``."""

    def configure(parser: argparse.ArgumentParser) -> None:
        add_verbs(parser, tuple(verbs_below(package)))

    return Verb(package.rpartition(".")[2], help_line, configure, None)
