"""The page of barycenters in a real browser: the point is dragged, the picture follows, long work reports and ends."""

import json
import re

import pytest

pytestmark = pytest.mark.browser
SHAPE = """(key) => {
  const graph = document.querySelector(`.st-key-${key} .uot-graph`);
  const trace = graph && graph.data && graph.data.find(t => t.name === 'barycenter');
  return trace ? Array.from(trace.y).map(v => Math.round(v * 1e4)).join() : '';
}"""
PEAK = """(key) => {
  const curve = document.querySelector(`.st-key-${key} .uot-graph`).data.find(t => t.name === 'barycenter');
  return curve.x[curve.y.indexOf(Math.max(...curve.y))];
}"""
# the next drawing waits for window.__release()
HOLD_DRAWING = """() => {
  for (const name of ['react', 'restyle']) {
    const draw = Plotly[name];
    Plotly[name] = async (...all) => {
      Plotly[name] = draw;
      await new Promise((go) => { window.__release = go; });
      return draw(...all);
    };
  }
}"""
DONE = """() => {
  const graph = document.querySelector('.st-key-b_live_rows .uot-graph');
  const trace = graph && graph.data && graph.data.find(t => t.name === 'titles');
  return trace ? trace.text.length : 0;
}"""


def open_page(page, server, query="", key="b_live"):
    page.goto(f"{server}/barycenters{query}")
    page.locator(f".st-key-{key} .main-svg").first.wait_for()


def weights(page):
    return page.locator(".uot-simplex-numbers").inner_text().split()


def drag(page, to):
    box = page.locator(".uot-simplex svg").bounding_box()
    start = page.locator(".uot-simplex .handle").bounding_box()
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + to[0] * box["width"], box["y"] + to[1] * box["height"], steps=6)
    page.mouse.up()


def test_dragging_the_point_moves_the_barycenter_and_the_address(page, server):
    open_page(page, server)
    assert weights(page) == ["0.33", "0.33", "0.33"]
    before = page.evaluate(SHAPE, "b_live")
    drag(page, (0.5, 0.35))
    assert float(weights(page)[0]) > 0.6
    page.wait_for_function(f"({SHAPE})('b_live') !== {before!r}")
    page.wait_for_function("new URLSearchParams(location.search).get('w').split(',')[0] > 0.6")
    shown = weights(page)
    page.reload()
    page.locator(".st-key-b_live .main-svg").first.wait_for()
    assert weights(page) == shown


def test_the_keyboard_moves_the_point(page, server):
    open_page(page, server)
    page.locator(".uot-simplex svg").focus()
    page.keyboard.press("2")
    assert weights(page) == ["0.00", "1.00", "0.00"]
    page.wait_for_function("new URLSearchParams(location.search).get('w') === '0,1,0'")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")
    assert float(weights(page)[0]) > 0.34
    assert "1 gaussian 0.3" in page.locator(".uot-simplex svg").get_attribute("aria-valuetext")
    page.locator(".uot-simplex-equal").click()
    page.wait_for_function("document.querySelector('.uot-simplex-numbers').innerText.startsWith('0.33')")


def test_a_picture_asked_for_while_another_is_drawn_still_comes(page, server):
    open_page(page, server, "?kind=densities&method=ipot&m=gaussian,-2,0.5;box,2,0.6&compare=0")
    page.locator(".uot-simplex svg").focus()
    page.evaluate(HOLD_DRAWING)
    page.keyboard.press("1")
    page.wait_for_function("window.__release !== undefined")
    first = page.evaluate("window.__uotlab.address")
    page.keyboard.press("2")
    page.wait_for_function(f"window.__uotlab.address !== {json.dumps(first)}")
    page.evaluate("window.__release()")
    page.wait_for_function("window.__uotlab.drawn === window.__uotlab.address")
    page.wait_for_function(f"({PEAK})('b_live') > 0")  # the box is on the right


@pytest.mark.parametrize("k", [2, 4, 5])
def test_bars_and_polygons_reach_their_corners(page, server, k):
    measures = ";".join(["gaussian,-2,0.5", "box,2,0.6", "triangle,0,1", "gaussian,3,0.3", "skewed,-3,0.6"][:k])
    open_page(page, server, f"?kind=densities&method=ipot&m={measures}")
    page.locator(".uot-simplex svg").focus()
    for corner in range(1, k + 1):
        page.keyboard.press(str(corner))
        assert weights(page) == ["1.00" if i == corner else "0.00" for i in range(1, k + 1)]
    page.keyboard.press("Home")
    assert sum(map(float, weights(page))) == pytest.approx(1)
    drag(page, (0.5, 0.5))
    assert sum(map(float, weights(page))) == pytest.approx(1)


def test_images_are_averaged_in_the_background(page, server):
    open_page(page, server, "?kind=images&method=ipot&m=3/0;3/1&compare=0&p.iterations=30", "b_live_images")
    metric = page.locator("[data-testid=stMetricValue]").first
    metric.wait_for()
    assert 0 < float(metric.inner_text()) < 2
    page.locator(".uot-task").wait_for(state="hidden")
    page.locator(".st-key-b_live_images").get_by_text(re.compile(r"sharpness \d")).wait_for()  # the next frame brings it


def test_the_figure_fills_row_by_row_and_can_be_cancelled(page, server):
    open_page(page, server, "?kind=rows&digits=13&count=3&eps=0.1,0.02&p.iterations=2000&p.beta=0.02", "b_live_rows")
    assert page.evaluate(DONE) == 0
    page.locator(".st-key-b_run button").click()
    page.locator(".uot-task").wait_for(state="visible")
    page.wait_for_function(f"({DONE})() > 0")
    page.locator(".uot-task button").click()
    page.locator(".uot-task").wait_for(state="hidden")
    page.get_by_text(re.compile(r"Cancelled: \d of 6 are done")).wait_for()
    page.locator(".st-key-b_run button").wait_for()
