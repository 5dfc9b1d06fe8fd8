"""The data page: every dataset shows, uploads are checked in sentences, drawings change and can be undone."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from uotlab.data.base import DATASETS
from uotlab.data.drawn import MOST_POINTS
from uotlab.paths import ROOT
from uotlab.problem import Measure
from uotlab.ui.data_draw import TEMPLATES, rows_of, text_of
from uotlab.ui.data_look import OWN, class_shares, table_csv
from uotlab.ui.data_upload import column_names, text_column

PAGE = str(ROOT / "pages" / "data.py")
CSV = "x,y,type,mass\n0.1,1.2,a,1\n0.4,0.9,a,1\n-0.3,1.1,b,2\n"


def opened(part=None):
    at = AppTest.from_file(PAGE, default_timeout=60).run()
    if part is not None:
        at.segmented_control(key="part").set_value(part).run()
    assert not at.exception
    return at


@pytest.mark.parametrize("name", [n for n in DATASETS if DATASETS[n].group != OWN and DATASETS[n].kind in ("line", "plane")])
def test_every_toy_shows(name):
    at = opened()
    at.selectbox(key="look").set_value(name).run()
    assert not at.exception
    assert not at.error
    assert DATASETS[name].summary in {c.value for c in at.caption}
    assert at.metric[0].label == "Source points"


def test_digits_show_their_classes():
    at = opened()
    at.selectbox(key="look").set_value("digits").run()
    assert not at.exception
    assert not at.error


def test_class_shares_follow_the_weights():
    measure = Measure(np.zeros((3, 1), np.float32), np.array([1.0, 1.0, 2.0]), {"kind": np.array(["a", "a", "b"])})
    assert class_shares(measure) == {"a": 50.0, "b": 50.0}
    assert class_shares(Measure(np.zeros((3, 1), np.float32))) == {}
    assert class_shares(Measure(np.zeros((99, 1), np.float32), labels={"k": np.arange(99)})) == {}


def test_a_download_has_points_weights_and_labels():
    measure = Measure(np.array([[0.5, 1], [2, 3]], np.float32), np.array([1.0, 2.0]), {"kind": np.array(["a", "b"])}, ("p", "q"))
    assert table_csv(measure) == "p,q,weight,kind\n0.5,1,1,a\n2,3,2,b\n"


# ---- upload ----------------------------------------------------------------------------------------
def uploaded(source, target, names=("s.csv", "t.csv")):
    at = opened("Upload")
    for side, content, name in zip(("source", "target"), (source, target), names, strict=True):
        at.file_uploader(key=f"upload_{side}").upload(name, content, "text/csv")
    return at.run()


def test_two_good_files_open_in_the_lab():
    at = uploaded(CSV.encode(), CSV.encode())
    assert not at.exception
    assert not at.error
    assert at.selectbox(key="label_source").value == "type"
    assert "Both files are good." in {s.value for s in at.success}
    at.selectbox(key="weight_target").set_value("mass").run()
    assert "same number of columns" in at.error[0].value  # mass is still a coordinate of the source
    at.selectbox(key="weight_source").set_value("mass").run()
    assert not at.error


@pytest.mark.parametrize(
    ("content", "name", "part"),
    [
        (b"", "a.csv", "empty"),
        (b"x,y\n1,2\n3,cat\n4,5\n", "a.csv", "text where a number belongs"),
        (b"x,y\n1,2\n3,nan\n4,5\n", "a.csv", "NaN"),
        (b"x,y\n1,2\n", "a.csv", "one point"),
        (b"\x80\x04\x95\x00\x00", "a.npy", "pickle"),
        (b"\x00\x01\x02", "a.csv", "binary"),
    ],
)
def test_a_bad_file_is_one_sentence_and_the_page_goes_on(content, name, part):
    at = uploaded(content, CSV.encode(), (name, "t.csv"))
    assert not at.exception
    assert len(at.error) == 1
    assert part in at.error[0].value
    assert not at.success


def test_different_columns_are_told():
    at = uploaded(b"x,y\n1,2\n3,4\n", b"x,y,z\n1,2,3\n4,5,6\n")
    assert "same number of columns" in at.error[0].value


def test_columns_are_found_for_choosing():
    assert column_names(CSV.encode(), "a.csv") == ["x", "y", "type", "mass"]
    assert column_names(b"1;2\n3;4\n", "a.csv") == ["column 1", "column 2"]
    assert column_names(b"1 2 3\n", "a.txt") == ["column 1", "column 2", "column 3"]
    assert column_names(b"\x00\x01", "a.csv") == []
    assert column_names(b"PK", "a.npz") == []
    assert column_names(b"", "a") == []
    assert text_column(CSV.encode(), ["x", "y", "type", "mass"]) == "type"
    assert text_column(b"x,y\n1,2\n", ["x", "y"]) is None


# ---- draw ------------------------------------------------------------------------------------------
def test_drawing_a_template_clearing_and_undoing():
    at = opened("Draw")
    first = at.session_state["draw_source"]
    assert at.button(key="draw_undo").disabled
    at.selectbox(key="draw_template").set_value("Unequal clusters").run()
    assert (at.session_state["draw_source"], at.session_state["draw_target"]) == TEMPLATES["Unequal clusters"]
    at.button(key="draw_clear").click().run()
    assert not at.exception
    assert at.session_state["draw_source"] == ""
    assert "2 to" in " ".join(i.value for i in at.info)
    at.button(key="draw_undo").click().run()
    at.button(key="draw_undo").click().run()
    assert at.session_state["draw_source"] == first
    assert at.button(key="draw_undo").disabled


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_are_drawings(name):
    for text in TEMPLATES[name]:
        assert rows_of(text_of(rows_of(text))) == rows_of(text)


def happen(*events):
    """The rows of both sides after some events on a sheet with one point a side."""

    def script(events):
        import streamlit as st

        from uotlab.ui.data_draw import happened

        if "draw_source" not in st.session_state:
            st.session_state["draw_source"], st.session_state["draw_target"] = "0,0", "1,1,2"
            for event in events:
                happened(event)

    at = AppTest.from_function(script, args=(list(events),)).run()
    assert not at.exception
    return rows_of(at.session_state["draw_source"]), rows_of(at.session_state["draw_target"])


def test_events_add_move_and_remove():
    source, target = happen(
        {"act": "add", "side": "source", "x": 1.5, "y": -2, "mass": 3},
        {"act": "move", "side": "target", "i": 0, "x": -1, "y": 0.25},
        {"act": "remove", "side": "source", "i": 0},
    )
    assert source == [(1.5, -2.0, 3.0)]
    assert target == [(-1.0, 0.25, 2.0)]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"act": "add", "side": "elsewhere", "x": 0, "y": 0, "mass": 1},
        {"act": "add", "side": "source", "x": float("nan"), "y": 0, "mass": 1},
        {"act": "add", "side": "source", "x": "1", "y": 0, "mass": 1},
        {"act": "add", "side": "source", "x": 1e9, "y": 0, "mass": 1},
        {"act": "move", "side": "source", "i": 7, "x": 0, "y": 1},
        {"act": "remove", "side": "source", "i": -1},
        {"act": "explode", "side": "source", "i": 0},
    ],
)
def test_forged_events_change_nothing(event):
    assert happen(event) == ([(0.0, 0.0, 1.0)], [(1.0, 1.0, 2.0)])


def test_a_drawing_has_an_end():
    more = [{"act": "add", "side": "source", "x": 0, "y": 0, "mass": 1}] * (MOST_POINTS + 5)
    assert len(happen(*more)[0]) == MOST_POINTS


def test_a_dataset_opens_by_its_link_and_nonsense_is_left_out():
    for given, shown in (("circles", "circles"), ("nonsense", next(iter(DATASETS)))):
        at = AppTest.from_file(PAGE, default_timeout=60)
        at.query_params["look"] = given
        at.run()
        assert not at.exception
        assert at.selectbox(key="look").value == shown
