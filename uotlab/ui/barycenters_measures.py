"""Own measures as widgets: for each a shape with its place and size, drawn points, or a file. The answer is one text."""

from collections.abc import Mapping
from typing import Any, Literal

import streamlit as st

from uotlab.data.base import DATASETS
from uotlab.data.drawn import points_from_text
from uotlab.data.files import EXTENSIONS, UPLOAD_LIMIT, read_points
from uotlab.data.measures import FEWEST, FILE, MOST, POINTS, shape_from_text, store_measure, texts_of
from uotlab.data.shapes import SHAPES
from uotlab.errors import InputError
from uotlab.ui.canvas import canvas
from uotlab.ui.data_draw import edited, rows_of, text_of
from uotlab.ui.plain import plain
from uotlab.ui.state import start_with
from uotlab.views.barycenter import measure_color

Way = Literal["shape", "points", "file"]
WAYS: Mapping[Way, str] = {"shape": "Shape", "points": "Points", "file": "File"}
FURTHER = ("moons,-4,0,2", "gaussian,4,2,1", "square,2,-4,1.5", "circles,-3,-5,1.5", "8gaussians,0,5,2")  #: a measure that is added
CLICKED = "-1,0;0,0.5;1,0"  #: points that a drawing starts with
PLACES = {"x": ("Centre x", -100.0, 100.0), "y": ("Centre y", -100.0, 100.0), "size": ("Size", 0.05, 100.0)}


def own_measures(text: str, start: str) -> dict[str, str]:
    """Widgets of all measures, their keys beginning with `start`; {"measures": text}, or nothing where it is the dataset's default."""
    default = str(DATASETS["measures"].model_fields["measures"].default)
    try:
        texts = texts_of(text or default)
    except InputError as error:
        st.error(plain(error), icon=":material/error:")
        texts = texts_of(default)
    start_with(f"{start}k", len(texts))
    k = int(st.segmented_control("How many", range(FEWEST, MOST + 1), key=f"{start}k", required=True) or len(texts))
    texts = [*texts, *FURTHER[len(texts) :]][:k]
    texts = [_measure(i, part, f"{start}own.{i}.") for i, part in enumerate(texts)]
    _sheet(texts, start)
    made = "|".join(texts)
    return {} if made == default else {"measures": made}


def _measure(i: int, text: str, key: str) -> str:
    """The widgets of one measure; its text."""
    now: Way = "points" if text.startswith(POINTS) else "file" if text.startswith(FILE) else "shape"
    start_with(f"{key}way", now)
    with st.container(border=True):
        mark = f'<div style="border-left:4px solid {measure_color(i)};padding-left:.5rem;font-size:.9rem">P{i + 1}</div>'
        st.html(mark)
        way = st.segmented_control(
            f"P{i + 1}", list(WAYS), format_func=WAYS.__getitem__, key=f"{key}way", required=True, label_visibility="collapsed"
        )  # fmt: skip
        same = text if way == now else ""
        return {"shape": _shape, "points": _points, "file": _file}[way or now](i, same, key)


def _shape(i: int, text: str, key: str) -> str:
    name, (x, y), size = shape_from_text(text or FURTHER[i])
    start_with(f"{key}shape", name)
    name = st.selectbox("Shape", list(SHAPES), key=f"{key}shape", label_visibility="collapsed")
    numbers = []
    for column, (field, value) in zip(st.columns(3), {"x": x, "y": y, "size": size}.items(), strict=True):
        title, low, high = PLACES[field]
        start_with(f"{key}{field}", min(max(value, low), high))
        numbers.append(column.number_input(title, low, high, step=0.5, format="%g", key=f"{key}{field}", help="In data units"))
    return ",".join([name, *(f"{v:g}" for v in numbers)])


def _points(i: int, text: str, key: str) -> str:
    first = text.removeprefix(POINTS) or CLICKED
    start_with(f"{key}points", first)
    words = "One point as x,y or x,y,mass, points with ; or a new line between them. Each becomes a small cloud"
    given = st.text_area("Points", key=f"{key}points", help=words, height=100)
    try:
        points_from_text(given, f"P{i + 1}")
    except InputError as error:
        st.error(plain(error), icon=":material/error:")
        given = first
    return POINTS + ";".join(part.strip() for part in given.replace("\n", ";").split(";") if part.strip())


def _sheet(texts: list[str], start: str) -> None:
    """A sheet to draw on, for the measures that are points."""
    sides = {f"P{i + 1}": rows_of(text.removeprefix(POINTS)) for i, text in enumerate(texts) if text.startswith(POINTS)}
    if not sides:
        return
    names = list(sides)
    if st.session_state.get(f"{start}side") not in names:
        st.session_state[f"{start}side"] = names[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        side = st.segmented_control("A click adds to", names, key=f"{start}side", required=True) or names[0]
        mass = st.number_input("with mass", 0.1, 100.0, 1.0, step=0.5, key=f"{start}mass", width=110)

    def happened(event: Mapping[str, Any]) -> None:
        name = str(event.get("side"))
        rows = edited(sides[name], event) if name in sides else None
        if rows is not None and len(rows) > 1:
            st.session_state[f"{start}own.{int(name[1:]) - 1}.points"] = text_of(rows)

    colors = {name: measure_color(int(name[1:]) - 1) for name in names}
    canvas(sides, side=side, mass=mass, key=f"{start}sheet", on_event=happened, colors=colors, width=6.0, height=5.0)
    st.caption("Click to add a point, drag to move it, double click to remove it.")


def _file(i: int, text: str, key: str) -> str:
    """An uploaded file; until there is one, the shape that stood here."""
    options: dict[str, Any] = {"max_upload_size": UPLOAD_LIMIT // 2**20, "label_visibility": "collapsed"}
    file = st.file_uploader(f"File of P{i + 1}", type=[e.removeprefix(".") for e in EXTENSIONS], key=f"{key}file", **options)
    if file is None:
        if text:
            st.caption(f"The file {text.removeprefix(FILE)[:8]} of this machine's store. Choose another to replace it.")
            return text
        st.caption("One row a point, one column a coordinate, the same columns in all measures. Until then a shape stands here.")
        return FURTHER[i]
    try:
        table = read_points(file.getvalue(), file.name)
    except InputError as error:
        st.error(plain(error), icon=":material/error:")
        return text or FURTHER[i]
    st.caption(f"{len(table.points):,} points, {table.points.shape[1]} columns")
    return store_measure(table)
