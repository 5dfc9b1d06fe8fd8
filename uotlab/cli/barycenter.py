"""`python -m uotlab barycenter`: average densities, images of digits, or clouds."""

import argparse
import math
import typing
from pathlib import Path
from typing import Any

from uotlab.cli.words import check_writable, settings_of, show_numbers, versions
from uotlab.engine.files import to_json, write_text, write_whole
from uotlab.errors import InputError, short
from uotlab.parameters import check_count
from uotlab.plans.barycenters.base import BARYCENTERS, barycenter


def add_parser(commands: Any) -> None:
    """Add the command to the parser of `python -m uotlab`."""
    mean = commands.add_parser("barycenter", help="average densities, images of digits, or clouds")
    mean.add_argument("method", metavar="METHOD")
    given = mean.add_mutually_exclusive_group(required=True)
    given.add_argument(
        "--densities", nargs="+", metavar="TEXT", help="shape,mean,width[,mass[,outlier]], such as gaussian,-2,0.5 box,2,0.6"
    )
    given.add_argument("--images", nargs="+", metavar="TEXT", help="digits of MNIST, digit or digit/hand, such as 3/0 3/1")
    given.add_argument("--clouds", nargs="+", metavar="TEXT", help="outline,x,y,size, such as ring,-2,0,1 heart,2,0,1")
    given.add_argument("--digit", type=int, help="many images of one digit, scaled and shifted at random")
    mean.add_argument("--count", type=int, default=8, help="how many images of --digit (default 8)")
    mean.add_argument("--weights", nargs="+", type=float, metavar="W", help="of sum 1 (default: equal)")
    mean.add_argument("--points", type=int, default=160, help="points of the line, or of each cloud (default 160)")
    mean.add_argument("--seed", type=int, default=0, help="seed of images and clouds (default 0)")
    mean.add_argument("--centred", action="store_true", help="leave images at their size, in the middle")
    mean.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="settings of the method")
    mean.add_argument("--out", type=Path, metavar="DIR", help="write barycenter.json, barycenter.npz and barycenter.csv there")
    mean.add_argument("--json", action="store_true", help="print the numbers as JSON")
    mean.set_defaults(command=barycenter_command)


def barycenter_command(arguments: argparse.Namespace) -> None:
    """Average, say what came out, and write what was asked for."""
    from uotlab.data.densities import measures_of_texts, placed_digits

    settings = settings_of("--set", arguments.set, BARYCENTERS[arguments.method])
    check_count("seed", arguments.seed, least=0, most=2**31 - 1)
    if arguments.out is not None:
        check_writable(arguments.out)
    if arguments.digit is not None:
        measures, support = placed_digits(arguments.digit, arguments.count, arguments.seed, moved=not arguments.centred), None
    else:
        form = next(k for k in ("densities", "images", "clouds") if getattr(arguments, k))
        takes = BARYCENTERS[arguments.method].takes
        if form not in takes:
            able = ", ".join(name for name, cls in BARYCENTERS.items() if form in cls.takes)
            raise InputError(f"{arguments.method} takes {' or '.join(sorted(takes))}, not {form}; for {form} take {able}.")
        texts = getattr(arguments, form)
        measures, support = measures_of_texts(form, texts, arguments.points, arguments.seed, moved=not arguments.centred)
    found = barycenter(arguments.method, measures, arguments.weights, support, **settings)
    numbers = {
        "objective": found.value, "sharpness": found.sharpness, "entropy": found.entropy, "mass": found.mass, "mean cost": found.cost_scale,
        "rounds": found.n_iter, "converged": int(found.converged), "seconds": found.seconds,
    }  # fmt: skip
    numbers = {name: value for name, value in numbers.items() if not math.isnan(value)}  # points that are free to move have no sharpness
    if arguments.out is not None:
        asked = {k: v for k, v in vars(arguments).items() if k not in ("command", "out", "json", "set")}
        record = to_json({**asked, "set": settings, "numbers": numbers, "versions": versions()}, indent=2) + "\n"
        arrays = found.npz(list(measures))

        def write(file: typing.BinaryIO) -> None:
            file.write(arrays)

        try:
            write_text(arguments.out / "barycenter.json", record)
            write_whole(arguments.out / "barycenter.npz", write)
            write_text(arguments.out / "barycenter.csv", found.csv())
        except OSError as error:
            raise InputError(f"--out {short(arguments.out)} cannot be written ({error.strerror}); choose another folder.") from None
    show_numbers(numbers, arguments.json)
    if arguments.json:
        return
    if not found.converged:
        print("The method stopped early: give more iterations, or a larger eps or beta.")
    if arguments.out is not None:
        print(f"Written to {arguments.out}: barycenter.json, barycenter.npz, barycenter.csv")
