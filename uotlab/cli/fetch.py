"""`python -m uotlab fetch`: download a dataset, or take a file that is already there."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `python -m uotlab`."""
    fetch = commands.add_parser("fetch", help="download a dataset, with checksum")
    fetch.add_argument("name", metavar="NAME", help="such as mnist")
    fetch.add_argument("--file", type=Path, help="take this file, which you already have, instead of downloading")
    fetch.set_defaults(command=fetch_command)


def fetch_command(arguments: argparse.Namespace) -> None:
    """Download a dataset into the user's data folder, or take a file that is already there."""
    from uotlab.data.fetch import fetch

    path = fetch(arguments.name, file=arguments.file, progress=True)
    print(f"{arguments.name} is at {path}")
