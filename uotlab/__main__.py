"""The command line: `python -m uotlab COMMAND`, each in a module of `uotlab.cli`. Bad input is one sentence on stderr and exit code 2."""

import argparse
import sys
from collections.abc import Sequence

from uotlab import InputError, __version__
from uotlab.cli import barycenter, cells, fetch, listing, plan, run, sweep
from uotlab.engine.loop import NotFinite

COMMANDS = (listing, run, plan, cells, barycenter, sweep, fetch)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = make_parser().parse_args(argv)
    try:
        arguments.command(arguments)
    except (InputError, NotFinite) as error:
        print(f"uotlab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nuotlab: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # such as `| head`
        sys.stderr.close()
        return 0
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="python -m uotlab", description="Unbalanced optimal transport with neural networks.")
    parser.add_argument("--version", action="version", version=f"uotlab {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
