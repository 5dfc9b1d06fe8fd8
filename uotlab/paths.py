"""Where things lie: shipped assets, the user's own data, the store."""

import os
from pathlib import Path

from uotlab.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"


def data_dir() -> Path | None:
    """The user's data folder: `UOTLAB_DATA`, else `../shared/data` where that exists, else None."""
    named = os.environ.get("UOTLAB_DATA")
    if named:
        return Path(named).expanduser()
    beside = ROOT.parent / "shared" / "data"
    return beside if beside.is_dir() else None


def store_dir() -> Path:
    """Runs, checkpoints, uploads and downloads: `UOTLAB_STORE`, else `~/.uotlab`. Made when missing."""
    path = Path(os.environ.get("UOTLAB_STORE", "~/.uotlab")).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder of runs, {path}, cannot be made ({error.strerror}). Name another in UOTLAB_STORE.") from None
    return path
