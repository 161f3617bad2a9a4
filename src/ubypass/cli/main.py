# SPDX-License-Identifier: GPL-2.0-only
# PYTHON_ARGCOMPLETE_OK
"""Entry point of ``ub``: selects the verb, and turns errors into lines for people."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from ubypass.cli import statuses, streams
from ubypass.cli.failure import explained, print_error
from ubypass.cli.signals import orderly_end
from ubypass.cli.verbs import Verb, add_verbs
from ubypass.errors import UbError
from ubypass.version import VERSION

__all__ = ["VERBS", "main", "parser"]

#: In the order of ``ub --help``; each is a module of this package.
VERBS = (
    "doctor",
    "estimate",
    "module",
    "selftest",
    "run",
    "attach",
    "service",
    "store",
    "stats",
    "top",
    "explain",
    "translate",
    "coverage",
    "calibrate",
    "lab",
    "bench",
)

_DESCRIPTION = (
    "Userspace Bypass: run the user code between system calls in the kernel, so that "
    "unmodified programs that make many system calls run faster."
)

_EPILOG = (
    "'ub' alone shows the state of this machine and the next steps; 'ub --json' prints "
    f"it as JSON. {statuses.summary()}"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``ub`` with ``arguments`` (default: those of the process); its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    streams.prepare()
    with orderly_end():
        code = _run(words)
    flushed = _flushed()
    return code or flushed


def parser() -> argparse.ArgumentParser:
    """The whole command line with every verb, for manual pages."""
    return _parser(())


def _run(words: list[str]) -> int:
    try:
        return _dispatch(words)
    except SystemExit as leave:
        return _code(leave)
    except UbError as error:
        print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output is gone: prevent an error of the interpreter at exit.
        streams.discard(sys.stdout)
        return 141
    except Exception as error:
        if os.environ.get("UBYPASS_DEBUG"):
            raise
        if isinstance(error, OSError):
            print_error(explained(error))
            return 1
        print_error(
            UbError(
                f"internal error: {type(error).__name__}: {error}",
                "please report this bug, with the output of UBYPASS_DEBUG=1",
            )
        )
        return 70  # EX_SOFTWARE of sysexits.h


def _code(leave: SystemExit) -> int:
    """The exit code: of a signal (:class:`Ended`), or of argparse."""
    return leave.code if isinstance(leave.code, int) else int(bool(leave.code))


def _flushed() -> int:
    """0 if all output was written, else the exit code."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        streams.discard(sys.stdout)
        return 141
    except OSError as error:
        streams.discard(sys.stdout)
        print_error(explained(error))
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
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    # Only the selected verb is imported: imports are slow on slow machines.
    chosen = [words[0]] if words and words[0] in VERBS else VERBS
    add_verbs(parser, [_verb(name) for name in chosen])
    return parser


def _verb(name: str) -> Verb:
    verb: Verb = importlib.import_module(f"ubypass.cli.{name}").VERB
    return verb


class _Parser(argparse.ArgumentParser):
    """Reports failed writes of its output; parsers of verbs inherit this."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            print(message, end="", file=file or sys.stderr, flush=True)

    def error(self, message: str) -> NoReturn:
        """Print the help if the verb is missing."""
        if message.endswith(("required: VERB", "required: ACTION", "required: SERVER")):
            self.print_help(sys.stderr)
            self.exit(2)
        super().error(message)


class _Version(argparse.Action):
    """In place of argparse's action, which wraps lines."""

    def __call__(self, *args: object, **kwargs: object) -> None:
        print(f"ub {VERSION}")
        sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
