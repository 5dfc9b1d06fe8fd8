"""The data page's second part: a file for the source, a file for the target, checked, seen, and taken into the lab."""

import csv
import io
import zipfile
from collections import OrderedDict

import streamlit as st

from uotlab.data.files import EXTENSIONS, TEXT, UPLOAD_LIMIT, Table, is_number, read_arrays, read_points
from uotlab.data.upload import store_upload
from uotlab.engine.spec import RunSpec
from uotlab.errors import InputError
from uotlab.ui.data_look import show
from uotlab.ui.open_lab import open_in_lab
from uotlab.ui.plain import plain

NONE = "none"
PEEK = 64 * 1024  #: bytes looked at for the names of columns
EXAMPLE = "x,y,type,mass\n0.1,1.2,a,1\n0.4,0.9,a,1\n-0.3,1.1,b,2\n"


def upload() -> None:
    """Both files; once both are good, the picture and the way into the lab."""
    st.markdown(
        f"One file with the **source** points and one with the **target** points: one row a point, one column a coordinate, "
        f"the same columns in both. {', '.join(EXTENSIONS)}, at most {UPLOAD_LIMIT // 2**20} MB each. Files stay on this machine."
    )
    columns = st.columns(2, gap="large")
    tables = []
    for column, side in zip(columns, ("source", "target"), strict=True):
        with column:
            tables.append(_side(side))
    source, target = tables
    if source is None or target is None:
        with st.expander("What a file may look like"):
            st.code(EXAMPLE, language=None)
            st.caption(
                "A header is optional. Labels may be text; weights are masses and need not sum to 1. npy: an array (n, d). npz: array x."
            )
        return
    try:
        digest = store_upload(source, target)
    except InputError as error:
        st.error(plain(error), icon=":material/error:")
        return
    st.success("Both files are good.", icon=":material/check_circle:")
    open_in_lab("Open in the lab", dataset="upload", data={"digest": digest})
    show(RunSpec(dataset="upload", data={"digest": digest}), "upload")


def _side(side: str) -> Table | None:
    """Uploader and column choices of one side; the checked table, or None with a sentence on the page."""
    st.markdown(f"**{side.capitalize()}**")
    file = st.file_uploader(
        f"{side.capitalize()} file",
        type=[e.removeprefix(".") for e in EXTENSIONS],
        max_upload_size=UPLOAD_LIMIT // 2**20,
        key=f"upload_{side}",
        label_visibility="collapsed",
    )
    if file is None:
        return None
    content = file.getvalue()
    names = column_names(content, file.name)
    label = weight = None
    drop = False
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if names:
            label = _chosen("Labels", names, f"label_{side}", "Classes or clusters, numbers or text", text_column(content, names))
            weight = _chosen("Weights", [n for n in names if n != label], f"weight_{side}", "Masses; empty means equal weights of total 1")
        drop = st.toggle("Drop rows with missing cells", key=f"drop_{side}")
    try:
        with st.spinner("Reading", show_time=True):
            table = _read(file.file_id, file.name, content, label, weight, drop)
    except InputError as error:
        st.error(plain(error), icon=":material/error:")
        return None
    st.caption(f"{len(table.points):,} points, {table.points.shape[1]} columns: {plain(_listed(table.names))}")
    for note in table.notes:
        st.info(plain(note), icon=":material/info:")
    return table


_tables: "OrderedDict[tuple[object, ...], Table]" = OrderedDict()  # the newest few, so that a click elsewhere reads nothing again


def _read(file_id: str, name: str, content: bytes, label: str | None, weight: str | None, drop: bool) -> Table:
    key = (file_id, name, label, weight, drop)
    table = _tables.get(key) or read_points(content, name, label_column=label, weight_column=weight, drop_missing=drop)
    _tables[key] = table
    while len(_tables) > 4:
        _tables.popitem(last=False)
    return table


def _chosen(label: str, names: list[str], key: str, text: str, first: str | None = None) -> str | None:
    start = names.index(first) if first in names else None
    return st.selectbox(label, names, start, key=key, help=text, placeholder=NONE)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def column_names(content: bytes, name: str) -> list[str]:
    """Names that labels or weights may be chosen from; empty where a file has none or cannot be read (the reader then says why)."""
    ending = "." + name.rpartition(".")[2].lower()
    try:
        if ending == ".npz" and zipfile.is_zipfile(io.BytesIO(content)):
            return [key for key, array in read_arrays(content, name).items() if array.ndim == 1]
        if ending in TEXT and b"\x00" not in content[:PEEK]:
            return _text_columns(content[:PEEK].decode("utf-8-sig", errors="replace"))
    except InputError:
        pass
    return []


def text_column(content: bytes, names: list[str]) -> str | None:
    """The one column whose second row holds text: most likely the labels. None where there is none, or more than one."""
    lines = [line for line in content[:PEEK].decode("utf-8-sig", errors="replace").splitlines() if line.strip()]
    cells = _cells(lines[1]) if len(lines) > 1 else []
    found = [name for name, cell in zip(names, cells) if cell and not is_number(cell)]
    return found[0] if len(found) == 1 and len(cells) == len(names) else None


def _cells(line: str) -> list[str]:
    separator = max(",\t;", key=line.count)
    cells = next(csv.reader([line], delimiter=separator)) if separator in line else line.split()
    return [cell.strip() for cell in cells]


def _text_columns(text: str) -> list[str]:
    cells = _cells(next((line for line in text.splitlines() if line.strip()), ""))
    return [f"column {i + 1}" for i in range(len(cells))] if all(map(is_number, cells)) else [cell for cell in cells if cell]
