"""Python's search path stays as it is while pages run, for threads that import meanwhile.

Streamlit puts the main script's folder before sys.path for each run of a page, and takes it out again. A thread that goes through sys.path
at that moment skips an entry: scanpy, imported first in the background, was then not found. A folder that is there already is left alone.
"""

import sys
from pathlib import Path


def steady(script: str | Path) -> None:
    """Keep the folder of the main script in sys.path for good, behind everything else."""
    folder = str(Path(script).absolute().parent)
    if folder not in sys.path:
        sys.path.append(folder)
