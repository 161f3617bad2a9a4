#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""``manual.py DIRECTORY``: the manual pages, one for each verb, made from the parsers.

``ub.1`` is about all verbs together, ``ub-VERB.1`` about one, with its options and the
actions that it has. What ``--help`` says is what the pages say; besides, they have what
is the same for all verbs. Needs Python's own library alone. Must not know any verb.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(_ROOT / "src"))

from ubypass.cli.main import parser as ub_parser  # noqa: E402
from ubypass.cli.statuses import STATUSES  # noqa: E402
from ubypass.device.tunables import TUNABLES  # noqa: E402
from ubypass.version import VERSION  # noqa: E402

__all__ = ["pages"]

_VARIABLES = (
    (
        "UBYPASS_CACHE",
        "The cache for downloaded and derived files (default: ~/.cache/ubypass).",
    ),
    (
        "UBYPASS_BUILD",
        "The directory for builds of the module and of measured programs.",
    ),
    ("UBYPASS_SUITE", "The Debian suite from which the lab takes its kernel."),
    ("UBYPASS_KERNEL", "The directory of a kernel that was built for the lab."),
    (
        "UBYPASS_ACCEL",
        "The accelerator of the lab, kvm or tcg, instead of a test for KVM.",
    ),
    ("UBYPASS_DEBUG", "If set, internal errors are printed with a traceback."),
)

_FILES = (
    ("/dev/ub", "The loaded module, for root."),
    ("/lib/modules/RELEASE/updates/dkms/ub.ko", "The module built by DKMS."),
    ("~/.cache/ubypass", "Kernels and headers for the lab, and builds."),
)


def pages() -> dict[str, str]:
    """Names of files, and the pages: all verbs, then one by one."""
    parser = ub_parser()
    verbs = dict(_verbs(parser))
    result = {"ub.1": _overview(parser, verbs)}
    for name, (verb, summary) in verbs.items():
        result[f"ub-{name}.1"] = _page(name, verb, summary, verbs)
    return result


def _verbs(
    parser: argparse.ArgumentParser,
) -> Iterator[tuple[str, tuple[argparse.ArgumentParser, str]]]:
    """Names of the parsers below this one, each parser, and its line of help."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {one.dest: one.help or "" for one in action._choices_actions}
            for name, below in action.choices.items():
                if name in helps:  # else another name of one that comes anyway
                    yield name, (below, helps[name])


def _overview(
    parser: argparse.ArgumentParser,
    verbs: dict[str, tuple[argparse.ArgumentParser, str]],
) -> str:
    lines = [
        *_head("ub", "faster system-call-heavy programs, without touching them"),
        ".SH SYNOPSIS",
        *_synopsis(parser),
        ".SH DESCRIPTION",
        _text(parser.description or ""),
        ".SH VERBS",
    ]
    for name, (_, summary) in verbs.items():
        lines += [".TP", rf"\fBub\-{_text(name)}\fR(1)", _text(_sentence(summary))]
    lines += _arguments(parser, "")
    lines += _tunables()
    lines += [".SH EXIT STATUS", *_statuses("")]
    lines += [".SH ENVIRONMENT", *_list(_VARIABLES)]
    lines += [".SH FILES", *_list(_FILES)]
    lines += [".SH SEE ALSO", _references(f"ub-{name}" for name in verbs)]
    return "\n".join(lines) + "\n"


def _page(
    name: str,
    verb: argparse.ArgumentParser,
    summary: str,
    verbs: dict[str, tuple[argparse.ArgumentParser, str]],
) -> str:
    lines = [*_head(f"ub-{name}", summary), ".SH SYNOPSIS", *_synopsis(verb)]
    lines += [".SH DESCRIPTION", _text(_sentence(verb.description or summary))]
    if verb.epilog:
        lines += [".PP", _text(verb.epilog)]
    lines += _arguments(verb, "")
    lines += _actions(verb)
    if _takes(verb, "--tune"):
        lines += _tunables()
    lines += [".SH EXIT STATUS", r"See \fBub\fR(1).", *_statuses(name)]
    lines.append(".SH SEE ALSO")
    others = (f"ub-{other}" for other in verbs if other != name)
    lines.append(_references(["ub", *others]))
    return "\n".join(lines) + "\n"


def _actions(parser: argparse.ArgumentParser) -> Iterator[str]:
    """What a verb can be told to do, each with its own words and options."""
    for name, (below, summary) in _verbs(parser):
        yield f".SH ACTION {_text(name.upper())}"
        yield from _synopsis(below)
        yield ".PP"
        yield _text(_sentence(below.description or summary))
        yield from _arguments(below, "SS")
        yield from _actions(below)


def _takes(parser: argparse.ArgumentParser, option: str) -> bool:
    """Whether a verb, or an action of it, has an option."""
    return option in parser._option_string_actions or any(
        _takes(below, option) for _, (below, _) in _verbs(parser)
    )


def _tunables() -> Iterator[str]:
    """Names of tunables, as for ``--tune``, with defaults, ranges and units."""
    yield ".SH TUNABLES"
    yield _text(
        "Of the module, for all processes; 'ub module status' shows the values."
    )
    for each, known in TUNABLES.items():
        text = f"{_sentence(known.text)} From {known.bounds}; default: {known.usual}."
        yield from _list([(each.name.lower(), text)])


def _statuses(verb: str) -> Iterator[str]:
    """All exit statuses, or those of one verb only."""
    rows = [each for each in STATUSES if not verb or each.verb == verb]
    return _list((each.code, _sentence(each.meaning)) for each in rows)


def _arguments(parser: argparse.ArgumentParser, heading: str) -> Iterator[str]:
    """Words and options; ``heading``: the macro of their headings, SH if empty."""
    shown = [a for a in parser._actions if a.help is not argparse.SUPPRESS]
    words = [
        a
        for a in shown
        if not a.option_strings and not isinstance(a, argparse._SubParsersAction)
    ]
    for title, actions in (
        ("ARGUMENTS", words),
        ("OPTIONS", [a for a in shown if a.option_strings]),
    ):
        if actions:
            yield f".{heading or 'SH'} {title}"
        for action in actions:
            yield from (".TP", _invocation(parser, action), _help(parser, action))


def _invocation(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = parser._get_formatter()
    if not action.option_strings:
        (name,) = formatter._metavar_formatter(action, action.dest)(1)
        return rf"\fI{_text(name)}\fR"
    names = ", ".join(rf"\fB{_text(name)}\fR" for name in action.option_strings)
    if action.nargs == 0:
        return names
    value = formatter._format_args(action, action.dest.upper())
    return rf"{names} \fI{_text(value)}\fR"


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    if not action.help:
        return r"\&"
    return _text(_sentence(parser._get_formatter()._expand_help(action)))


def _synopsis(parser: argparse.ArgumentParser) -> list[str]:
    """The usage, without its line breaks: those are of a terminal."""
    formatter = argparse.HelpFormatter(prog=parser.prog, width=10000)
    formatter.add_usage(
        parser.usage, parser._actions, parser._mutually_exclusive_groups
    )
    usage = " ".join(formatter.format_help().split()).removeprefix("usage: ")
    rest = usage.removeprefix(parser.prog)
    return [rf"\fB{_text(parser.prog)}\fR{_text(rest)}"]


def _head(name: str, summary: str) -> list[str]:
    return [
        r".\" Made from the command's own parsers.",
        f'.TH {_text(name.upper())} 1 "" "ubypass {VERSION}" "User Commands"',
        ".SH NAME",
        rf"{_text(name)} \- {_text(summary)}",
    ]


def _list(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in rows:
        yield from (".TP", rf"\fB{_text(name)}\fR", _text(text))


def _references(names: Iterable[str]) -> str:
    return ",\n".join(rf"\fB{_text(name)}\fR(1)" for name in names)


def _sentence(text: str) -> str:
    """With a capital and a full stop, where it is one."""
    text = " ".join(text.split())
    if not text:
        return text
    first = text.split(maxsplit=1)[0].rstrip(",;:")
    # Not of a name or a value that is written so.
    if first.isalpha() and first.islower():
        text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?:" else f"{text}."


def _text(text: str) -> str:
    """Text as roff takes it for nothing else."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("~", r"\(ti")
    text = text.replace("^", r"\(ha").replace("`", r"\(ga")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)


def main() -> int:
    """Write the pages."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, page in pages().items():
        (directory / name).write_text(page, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
