"""The strip of plans along rho: widths mean one thing in all its panels."""

import numpy as np

from tests.views.synthetic_plans import plan_scene
from uotlab.views.base import VIEWS
from uotlab.views.plan_compare import percent


def test_what_hardly_moves_has_no_line():
    arrays = plan_scene(30, 40, 2)
    pairs = np.array(arrays["strip/pairs"])
    pairs[..., 2] = 1.0
    pairs[-1, :, 2] = 1e-6
    traces = VIEWS["plan-strip"]().traces(arrays | {"strip/pairs": pairs})
    lines = [t for t in traces if t["name"] == "pairs"]
    drawn = [np.isfinite(np.asarray(t["x"])).any() for t in lines]
    last = lines[-1]["xaxis"]
    assert any(d for t, d in zip(lines, drawn, strict=True) if t["xaxis"] != last)
    assert not any(d for t, d in zip(lines, drawn, strict=True) if t["xaxis"] == last)


def test_shares_are_short():
    assert [percent(s) for s in (1.0, 0.123, 0.0011, 5e-7, 0.0)] == ["100%", "12%", "0.11%", "< 0.01%", "0%"]
