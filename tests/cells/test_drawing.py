"""Pictures as files."""

import numpy as np
import pytest

from uotlab.cells.drawing import Picture, browser, draw
from uotlab.errors import InputError

NAME = "</script><b>&amp;"
ARRAYS = {"fates/P": np.array([[0.7, 0.3]], np.float32), "names/fates/source": np.array([NAME]), "names/fates/target": np.array(["A", "B"])}
PICTURES = [
    Picture("table", "transitions", ARRAYS),
    Picture("losses", "losses", {"history/step": np.arange(5.0), "history/loss": np.arange(5.0)}),
]


def test_pages_need_nothing_else_and_hold_no_tag_of_a_name(tmp_path):
    paths = draw(PICTURES, tmp_path / "new", "html")
    assert [p.name for p in paths] == ["table.html", "losses.html"]
    text = paths[0].read_text()
    assert "default-src 'none'" in text
    assert "</script><b>" not in text
    assert "\\u003cextra>" in text


def test_mistakes_are_sentences(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="Did you mean 'svg'"):
        draw(PICTURES, tmp_path, "svgg")
    monkeypatch.setenv("UOTLAB_CHROMIUM", "no-such-browser")
    with pytest.raises(InputError, match="UOTLAB_CHROMIUM names no-such-browser, which cannot be run"):
        draw(PICTURES, tmp_path, "png")
    monkeypatch.setenv("UOTLAB_CHROMIUM", "false")
    with pytest.raises(InputError, match="false could not draw the pictures"):
        draw(PICTURES, tmp_path, "svg")
    monkeypatch.setenv("UOTLAB_CHROMIUM", "true")
    with pytest.raises(InputError, match="true did not draw table, losses"):
        draw(PICTURES, tmp_path, "svg")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        draw(PICTURES, tmp_path / "file", "html")
    assert draw([], tmp_path, "svg") == []


@pytest.mark.slow
def test_a_browser_draws_svg_and_png(tmp_path):
    try:
        browser()
    except InputError as error:
        pytest.skip(str(error))
    svg, losses = draw(PICTURES, tmp_path, "svg")
    assert svg.read_text().startswith("<svg")
    assert "70%" in svg.read_text() or "0.70" in svg.read_text()
    assert "<svg" in losses.read_text()
    png = draw(PICTURES[:1], tmp_path, "png")[0].read_bytes()
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20], "big") == 1800
