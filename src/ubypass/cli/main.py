# SPDX-License-Identifier: GPL-2.0-only
# PYTHON_ARGCOMPLETE_OK
"""Entry point of ``ub``: picks the verb, and turns errors into lines for people."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from ubypass.cli import streams
from ubypass.cli.failure import explained
from ubypass.cli.signals import orderly_end
from ubypass.errors import UbError
from ubypass.version import VERSION

__all__ = ["VERBS", "main", "parser"]

#: In the order of ``ub --help``; each is a module of this package.
VERBS = (
    "doctor",
    "estimate",
    "module",
    "run",
    "attach",
    "service",
    "stats",
    "explain",
    "translate",
    "coverage",
    "calibrate",
    "lab",
    "bench",
)

_DESCRIPTION = (
    "Userspace Bypass: run the code between system calls inside the kernel, so that "
    "programs that make many of them run faster, without touching the programs."
)

_EPILOG = (
    "'ub' alone says what is the case here and what to do next; 'ub --json' does so "
    "for machines. Exit status: 0 if all is well, 1 for errors, 2 for wrong usage, 3 "
    "if no service runs, 69 without the module and 78 for a wrong configuration (both "
    "of the service), 70 for bugs of ub, 128 + N after signal N; 'run' ends with its "
    "program's."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``ub`` with ``arguments`` (default: the process's own); its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    streams.prepare()
    with orderly_end():
        code = _run(words)
    flushed = _flushed()
    return code or flushed


def parser() -> argparse.ArgumentParser:
    """The command line as a whole, with every verb: for manual pages."""
    return _parser(())


def _run(words: list[str]) -> int:
    try:
        return _dispatch(words)
    except SystemExit as leave:
        return _code(leave)
    except UbError as error:
        _report(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has left; keep the interpreter from telling.
        streams.discard(sys.stdout)
        return 141
    except Exception as error:
        if os.environ.get("UBYPASS_DEBUG"):
            raise
        if isinstance(error, OSError):
            _report(explained(error))
            return 1
        _report(
            UbError(
                f"internal error: {type(error).__name__}: {error}",
                "UBYPASS_DEBUG=1 shows where; please report it",
            )
        )
        return 70  # EX_SOFTWARE of sysexits.h


def _code(leave: SystemExit) -> int:
    """Of a signal that asked us to end, or what argparse has said."""
    return leave.code if isinstance(leave.code, int) else int(bool(leave.code))


def _flushed() -> int:
    """0 if all that was printed is where it should be, else the exit code."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        streams.discard(sys.stdout)
        return 141
    except OSError as error:
        streams.discard(sys.stdout)
        _report(explained(error))
        return 1
    return 0


def _dispatch(words: list[str]) -> int:
    parser = _parser(words)
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)
    if words in ([], ["--json"]):
        from ubypass.cli import first

        return first.run(as_json=bool(words))
    args = parser.parse_args(words)
    code: int = args.run(args)
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(prog="ub", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action=_Version, nargs=0, help="say which this is")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    # Only the verb that is meant is imported: on a slow machine it is felt.
    chosen = [words[0]] if words and words[0] in VERBS else VERBS
    for name in chosen:
        verb = _verb(name)
        sub = verbs.add_parser(verb.NAME, help=verb.HELP, description=verb.HELP)
        verb.configure(sub)
        sub.set_defaults(run=verb.run)
    return parser


def _verb(name: str) -> ModuleType:
    return importlib.import_module(f"ubypass.cli.{name}")


class _Parser(argparse.ArgumentParser):
    """Does not hide that its words could not be written; verbs inherit it."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            print(message, end="", file=file or sys.stderr, flush=True)

    def error(self, message: str) -> NoReturn:
        """Who has not named a verb is shown those that there are."""
        if message.endswith(("required: VERB", "required: ACTION", "required: SERVER")):
            self.print_help(sys.stderr)
            self.exit(2)
        super().error(message)


class _Version(argparse.Action):
    """Not argparse's own, which breaks lines where they are not to be broken."""

    def __call__(self, *args: object, **kwargs: object) -> None:
        print(f"ub {VERSION}")
        sys.exit(0)


def _report(error: UbError) -> None:
    lines = [f"ub: {error.message}", *([f"    {error.hint}"] if error.hint else [])]
    # The terminal may be gone, and there is nobody else to tell.
    with contextlib.suppress(OSError, ValueError):
        print("\n".join(lines), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
