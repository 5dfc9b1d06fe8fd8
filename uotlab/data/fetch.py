"""Downloads into the store, each checked by its sha256 and tried from several hosts; or a file that the user already has."""

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uotlab.data import collections
from uotlab.data.collections import PARTS
from uotlab.errors import InputError, did_you_mean
from uotlab.paths import store_dir

Progress = Callable[[str, float], None]  #: file name and the fraction done, in [0, 1]

MNIST_FILES = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
FETCHABLE = ("mnist", "usps")


class _Bar:
    """What pooch asks of a progress bar, handed on as fractions."""

    def __init__(self, name: str, progress: Progress) -> None:
        self.name, self.progress = name, progress
        self.total, self.done = 0, 0

    def update(self, step: int) -> None:
        self.done += step
        if self.total:
            self.progress(self.name, min(self.done / self.total, 1.0))

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        self.progress(self.name, 1.0)


def fetch(name: str, file: str | Path | None = None, progress: Progress | bool | None = None) -> Path:
    """Put a dataset's files into the store and return their folder.

    Args:
        name: "mnist" or "usps".
        file: a file or folder that the user already has, instead of a download. MNIST: `mnist.npz` or a folder with
            the four idx files; USPS: `usps.npz`, `usps.bz2` or a folder with one of them.
        progress: called with a file's name and the fraction done; True writes it to stderr.

    Raises:
        InputError: an unknown name, unusable file, or no host that answers.
    """
    if isinstance(progress, bool):
        progress = _to_stderr if progress else None
    key = name.lower()
    if key not in FETCHABLE:
        raise InputError(f"There is nothing to fetch named '{name}'. {did_you_mean(name, FETCHABLE)}")
    folder = store_dir() / "data" / key
    if file is not None:
        source = Path(file).expanduser()
        if not source.exists():
            raise InputError(f"There is no file or folder {source.name} at the place given. Check the path.")
        return _take_mnist(source, folder) if key == "mnist" else _take_usps(source, folder)
    if key == "usps":
        raise InputError(
            "USPS has no host with a licence to pass it on, so it is not downloaded for you. Download usps.bz2 and usps.t.bz2 "
            "from the LIBSVM data page (multiclass, usps) and give the file: `python -m uotlab fetch usps --file usps.bz2`."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for part, digest in MNIST_FILES.items():
        _download(part, digest, MNIST_MIRRORS, folder, progress)
    collections.mnist_from_idx(folder)
    return folder


def _to_stderr(name: str, done: float) -> None:
    sys.stderr.write(f"\r{name} {done:4.0%}" + ("\n" if done >= 1 else ""))
    sys.stderr.flush()


def _download(part: str, digest: str, mirrors: tuple[str, ...], folder: Path, progress: Progress | None) -> None:
    """One file from the first mirror that has it whole; a file that is there and has the digest stays."""
    import pooch

    path = folder / part
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
        if progress:
            progress(part, 1.0)
        return
    reasons = []
    pooch.get_logger().setLevel("WARNING")
    for mirror in mirrors:
        bar: Any = _Bar(part, progress) if progress else False
        try:
            pooch.retrieve(
                mirror + part, f"sha256:{digest}", fname=part, path=folder, downloader=pooch.HTTPDownloader(progressbar=bar, timeout=30)
            )
            return
        except Exception as error:  # a host may fail in any way; the next one is tried
            host = mirror.split("/")[2]
            reasons.append(f"{host}: {'wrong checksum' if 'hash' in str(error).lower() else type(error).__name__}")
    raise InputError(
        f"{part} could not be downloaded ({'; '.join(reasons)}). Check the connection, or download MNIST's four files "
        "by hand and give their folder with --file."
    )


def _take_mnist(source: Path, folder: Path) -> Path:
    if source.is_dir() and (source / "mnist.npz").is_file():
        source = source / "mnist.npz"
    if source.is_file() and source.suffix != ".npz":
        source = source.parent  # one of the four files was named
    if source.is_file():
        collections.mnist_from_npz(source)
        return _copy([source], folder, ["mnist.npz"])
    collections.mnist_from_idx(source)
    files = [path for part in PARTS if (path := collections.find_part(source, part))]
    return _copy(files, folder, [part + (".gz" if path.suffix == ".gz" else "") for part, path in zip(PARTS, files)])


def _take_usps(source: Path, folder: Path) -> Path:
    place = source if source.is_dir() else source.parent
    if source.suffix == ".npz" or (source.is_dir() and (source / "usps.npz").is_file()):
        file = source if source.suffix == ".npz" else source / "usps.npz"
        collections.usps_from_npz(file)
        return _copy([file], folder, ["usps.npz"])
    files = [path for name in ("usps.bz2", "usps.t.bz2") if (path := place / name).is_file()]
    if not files or files[0].name != "usps.bz2":
        raise InputError(
            f"{source.name} is not usps.npz, usps.bz2 or a folder with one of them. Download usps.bz2 from the LIBSVM data page."
        )
    collections.usps_from_libsvm(place)
    return _copy(files, folder, [path.name for path in files])


def _copy(files: list[Path], folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file, name in zip(files, names):
        if file.resolve() != (folder / name).resolve():
            temporary = folder / f".{name}.part"
            shutil.copyfile(file, temporary)
            temporary.replace(folder / name)
    collections.forget()
    return folder
