"""The lab in a real browser: the picture moves, keeps its zoom, stops when told, and comes back."""

import json
import re

import pytest

pytestmark = pytest.mark.browser
FRAMES = "window.__uotlab && window.__uotlab.frames"
MAPPED = "() => { const t = window.__uotlab_graph.data.find(t => t.name === 'mapped'); return t && Array.from(t.x).slice(0, 20) }"


def state(page):
    return page.evaluate("window.__uotlab.status")


def wait_state(page, *names):
    page.wait_for_function(f"{json.dumps(names)}.includes(window.__uotlab.status.state)")


def open_lab(page, server, query=""):
    page.goto(f"{server}/{query}")
    page.locator(".st-key-play button").wait_for()
    page.wait_for_function(f"{FRAMES} > 0")


def click(page, key):
    page.locator(f".st-key-{key} button:not([disabled])").first.click()


def train(page, server, query=""):
    open_lab(page, server, query)
    click(page, "play")
    page.wait_for_function("window.__uotlab.status.state === 'running' && window.__uotlab.status.step > 0")


@pytest.fixture
def long_run(page, server):
    """The lab with a long run under way, stopped at the end."""
    train(page, server, "?method=uotm&data=moons-to-spiral&steps=1000000&n=1000")
    yield page
    if state(page).get("state") in ("running", "paused", "queued"):
        post(page, "stop")


def post(page, do, value=None):
    return page.evaluate(
        """([job, what, value]) =>
            fetch('/live/control', {method: 'POST', body: JSON.stringify({job, do: what, value})}).then(r => r.status)""",
        [page.evaluate("window.__uotlab.data.job"), do, value],
    )


def test_the_data_are_shown_before_any_training(page, server):
    open_lab(page, server)
    assert state(page)["state"] == "still"
    names = page.evaluate("window.__uotlab_graph.data.map(t => t.name)")
    assert {"source", "target"} <= set(names)
    assert page.locator(".uot-graph").get_attribute("aria-label")


def test_the_picture_moves_without_remounting(long_run):
    page = long_run
    before, frames = page.evaluate(MAPPED), page.evaluate(FRAMES)
    page.wait_for_function(f"{FRAMES} > {frames + 5}")
    assert page.evaluate(MAPPED) != before
    assert page.evaluate("window.__uotlab.mounts") == 1
    assert page.locator(".uot-badge").inner_text() == "Training"
    assert re.match(r"Step [\d,]+ of 1,000,000", page.locator(".uot-step").inner_text())


def test_zoom_is_kept_while_frames_come(long_run):
    page = long_run
    page.wait_for_function("window.__uotlab_graph.data.some(t => t.name === 'mapped')")
    box = page.locator(".uot-graph .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + 150, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 250, steps=4)
    page.mouse.up()
    ranges = "JSON.stringify(window.__uotlab_graph._fullLayout.xaxis.range)"
    page.wait_for_timeout(700)
    zoomed, frames = page.evaluate(ranges), page.evaluate(FRAMES)
    page.wait_for_function(f"{FRAMES} > {frames + 5}")
    assert page.evaluate(ranges) == zoomed
    low, high = json.loads(zoomed)
    assert abs(high - low) < 30  # the whole plane is about 60 wide


def test_pause_takes_no_step_and_step_takes_exactly_one(long_run):
    page = long_run
    click(page, "play")
    wait_state(page, "paused")
    step = state(page)["step"]
    page.wait_for_timeout(1000)
    assert state(page)["step"] == step
    click(page, "step")
    page.wait_for_function(f"window.__uotlab.status.step === {step + 1} && window.__uotlab.status.state === 'paused'")
    page.wait_for_timeout(500)
    assert state(page)["step"] == step + 1
    page.keyboard.press("p")
    page.wait_for_function(f"window.__uotlab.status.step > {step + 1}")


def test_reload_comes_back_to_the_running_job(long_run):
    page = long_run
    job = page.evaluate("window.__uotlab.data.job")
    assert f"job={job}" in page.url
    step = state(page)["step"]
    page.reload()
    page.wait_for_function(f"{FRAMES} > 1")
    assert page.evaluate("window.__uotlab.data.job") == job
    page.wait_for_function(f"window.__uotlab.status.step > {step}")


def test_another_picture_in_the_same_graph(long_run):
    page = long_run
    page.get_by_role("radio", name="Losses").or_(page.get_by_role("button", name="Losses")).first.click()
    page.wait_for_function("window.__uotlab.data.view === 'losses' && window.__uotlab.drawn.includes('losses')")
    frames = page.evaluate(FRAMES)
    page.wait_for_function(f"{FRAMES} > {frames + 2}")
    assert page.evaluate("window.__uotlab.mounts") == 1
    assert "view=losses" in page.url


def test_settings_change_without_ending_the_run(long_run):
    page = long_run
    page.get_by_role("spinbutton", name="Seed").fill("11")
    page.keyboard.press("Enter")
    page.locator(".st-key-offer-row").wait_for()
    frames = page.evaluate(FRAMES)
    page.wait_for_function(f"{FRAMES} > {frames + 2}")
    assert state(page)["state"] == "running"
    assert page.evaluate("window.__uotlab.mounts") == 1


def test_reset_can_be_undone(long_run):
    page = long_run
    job = page.evaluate("window.__uotlab.data.job")
    click(page, "reset")
    page.wait_for_function("window.__uotlab.status.state === 'still'")
    assert "job=" not in page.url
    click(page, "undo")
    page.wait_for_function(f"window.__uotlab.data.job === {json.dumps(job)} && window.__uotlab.status.state === 'running'")


def test_picture_downloads(long_run):
    page = long_run
    click(page, "play")
    wait_state(page, "paused")
    page.locator(".uot-graph").hover()
    for kind in ("png", "svg"):
        with page.expect_download() as waiting:
            page.locator(f'.uot-graph .modebar-btn[data-title="Download as {kind.upper()}"]').first.click()
        assert waiting.value.suggested_filename == f"uotlab-map.{kind}"


def test_nonsense_in_the_address(page, server):
    open_lab(page, server, "?method=nonsense&p.rho1=-3&d.x=%3Cscript%3E")
    page.get_by_text("makes no sense").wait_for()


def test_forged_job(page, server):
    open_lab(page, server, "?job=forged-id-0000000000")
    page.get_by_text("There is no run with the id").wait_for()


@pytest.mark.parametrize("name", ["", "data", "runs", "learn"])
def test_deep_link_first_on_a_fresh_server(fresh_server, page, name):
    address = fresh_server()
    page.goto(f"{address}/{name}")
    page.get_by_role("link", name=(name or "lab").capitalize()).first.wait_for()
    page.locator("[data-testid=stMainBlockContainer] :is(h1, h2, h3, h4)").first.wait_for()
    assert page.locator("[data-testid=stException]").count() == 0
    assert "me=" in page.url


class TestRoutes:
    """What our routes answer, asked as a stranger would."""

    def test_frame_of_a_forged_job(self, page, server):
        reply = page.request.get(f"{server}/live/frame?job=forged&view=map")
        assert reply.status == 404
        assert "no run" in reply.json()["error"]

    def test_control_needs_post_and_our_own_origin(self, page, server):
        assert page.request.get(f"{server}/live/control").status == 405
        body = json.dumps({"job": "forged", "do": "pause"})
        assert page.request.post(f"{server}/live/control", data=body).status == 403
        assert page.request.post(f"{server}/live/control", data=body, headers={"Origin": "https://elsewhere.example"}).status == 403
        assert page.request.post(f"{server}/live/control", data=body, headers={"Origin": server}).status == 404
        assert page.request.post(f"{server}/live/control", data="nonsense", headers={"Origin": server}).status == 422

    def test_another_host_name_is_refused(self, page, server):
        assert page.request.get(f"{server}/live/frame?job=x", headers={"Host": "rebound.example"}).status == 403

    def test_plotly_comes_from_the_installed_package(self, page, server):
        reply = page.request.get(f"{server}/live/plotly.min.js")
        assert reply.ok
        assert "immutable" in reply.headers["cache-control"]
