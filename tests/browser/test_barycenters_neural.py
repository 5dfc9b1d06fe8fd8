"""The neural half of the page of barycenters in a real browser: two runs move side by side, zoom is linked, the strip fills."""

import json

import pytest

pytestmark = pytest.mark.browser
PAIR = ".st-key-bn-live .js-plotly-plot"
STRIP = ".st-key-bn-strip-live .js-plotly-plot"
QUERY = "?kind=neural&data=class-imbalance&n=400&p.batch_size=32&steps={steps}"
LONG = 170_000  #: ms
SAMPLES = """(graph) => {
  const traces = (document.querySelector(graph)?.data ?? []).filter(t => t.name === 'barycenter');
  return traces.map(t => Array.from(t.x).slice(0, 30).map(v => v.toFixed(3)).join());
}"""


def click(page, key):
    page.locator(f".st-key-{key} button:not([disabled])").first.click()


def drawn(page, graph, condition, **more):
    page.wait_for_function(
        f"(() => {{ const g = document.querySelector({json.dumps(graph)}); return g?.data && ({condition}); }})()", **more
    )


def samples(page, graph=PAIR):
    return page.evaluate(SAMPLES, graph)


@pytest.mark.timeout(300)
def test_both_barycenters_move_side_by_side_with_linked_zoom(page, server):
    page.goto(f"{server}/barycenters{QUERY.format(steps=1000000)}")
    drawn(page, PAIR, "g.data.length >= 2")  # the measures, before anything is trained
    click(page, "play")
    drawn(page, PAIR, "g.data.filter(t => t.name === 'barycenter').length === 2")
    before = samples(page)
    for panel in (0, 1):  # both train at the same time
        page.wait_for_function(f"({SAMPLES})({json.dumps(PAIR)})[{panel}] !== {json.dumps(before[panel])}")
    assert "beside=" in page.url
    mounts = page.evaluate("window.__uotlab.mounts")
    box = page.locator(f"{PAIR} .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.6, steps=4)
    page.mouse.up()
    same = "Math.abs(g._fullLayout.xaxis2.range[0] - g._fullLayout.xaxis.range[0]) < 1e-9"
    narrow = "Math.abs(g._fullLayout.xaxis.range[1] - g._fullLayout.xaxis.range[0]) < 12"  # of more than 16
    drawn(page, PAIR, f"{same} && {narrow}")
    page.keyboard.press("p")
    page.locator(".st-key-step button:not([disabled])").first.wait_for()
    page.get_by_text("paused").first.wait_for()
    page.wait_for_function(  # the other run pauses a moment later, and its last picture is drawn after that
        f"(() => {{ const now = JSON.stringify(({SAMPLES})({json.dumps(PAIR)})); if (window.__held !== now) window.__since = Date.now(); "
        "window.__held = now; return Date.now() - window.__since > 1500; })()"
    )
    drawn(page, PAIR, f"{same} && {narrow}")  # zoom is kept
    assert page.evaluate("window.__uotlab.mounts") == mounts
    click(page, "stop")
    page.get_by_text("stopped").first.wait_for()


@pytest.mark.timeout(400)
def test_the_strip_fills_and_the_address_brings_it_back(page, server):
    page.set_viewport_size({"width": 1440, "height": 2200})  # what is not in sight is not drawn
    page.goto(f"{server}/barycenters{QUERY.format(steps=30)}")
    click(page, "bn_strip")
    drawn(page, STRIP, "g.data.filter(t => t.name === 'barycenter').length === 3", timeout=LONG)
    page.get_by_role("button", name="Train it again").wait_for(timeout=LONG)
    headings = page.evaluate(f"document.querySelector({json.dumps(STRIP)}).layout.annotations.map(a => a.text)")
    assert [text.split("τ = ")[1].split("<")[0] for text in headings] == ["1", "20", "200"]
    page.goto(page.url)
    drawn(page, STRIP, "g.data.filter(t => t.name === 'barycenter').length === 3", timeout=LONG)


def test_weights_are_dragged_and_kept_in_the_address(page, server):
    page.goto(f"{server}/barycenters{QUERY.format(steps=30)}")
    page.locator(".uot-simplex svg").wait_for()
    page.locator("[data-test-script-state=notRunning]").wait_for()  # on a busy machine the page is drawn twice before it is at rest
    page.locator(".uot-simplex svg").focus()
    page.keyboard.press("1")
    page.wait_for_function("new URLSearchParams(location.search).get('p.weights') === '1,0'")
    page.locator(".uot-simplex-equal").click()
    page.wait_for_function("!new URLSearchParams(location.search).has('p.weights')")


def test_deep_link_first_on_a_fresh_server(fresh_server, page):
    page.goto(f"{fresh_server()}/barycenters{QUERY.format(steps=30)}")
    page.locator(".st-key-play button").first.wait_for()
    assert page.locator("[data-testid=stException]").count() == 0
