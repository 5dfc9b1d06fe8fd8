"""The plans page in a real browser: dials answer while they are dragged, the picture follows, time plays without the server."""

import json

import pytest

pytestmark = pytest.mark.browser
QUERY = "?solver=sinkhorn&data=two-squares&n=200&p.eps=0.02&p.rho1=1&p.rho2=1"
FRAMES = "window.__uotlab.frames"
NUMBERS = "window.__uotlab_dials.numbers"


def open_plans(page, server, query=QUERY):
    page.goto(f"{server}/plans{query}")
    page.wait_for_function(f"window.__uotlab && {FRAMES} > 0 && window.__uotlab_dials?.numbers?.n_iter > 0")


def picture(page, name):
    page.locator(".st-key-q-view").get_by_text(name, exact=True).click()
    page.wait_for_function(f"window.__uotlab.drawn?.includes({json.dumps(name.lower().split()[-1])}) || true")


class Drag:
    """A slider held with the mouse; `to` moves it to a share of its way."""

    def __init__(self, page, dial):
        self.page, box = page, page.locator(f"#uot-{dial}").bounding_box()
        self.left, self.wide, self.y = box["x"] + 11, box["width"] - 22, box["y"] + box["height"] / 2

    def press(self, at):
        self.page.mouse.move(self.left + at * self.wide, self.y)
        self.page.mouse.down()
        return self

    def to(self, at):
        self.page.mouse.move(self.left + at * self.wide, self.y, steps=6)

    def release(self):
        self.page.mouse.up()


def test_the_picture_and_the_numbers_follow_while_the_slider_is_held(page, server):
    open_plans(page, server)
    reruns = page.url
    frames, mass, answers = page.evaluate(f"[{FRAMES}, {NUMBERS}.mass, window.__uotlab_dials.answers]")
    hand = Drag(page, "rho1").press(0.4)
    hand.to(0.15)
    page.wait_for_function(f"{NUMBERS}.mass < {mass / 2} && {FRAMES} > {frames}")
    assert page.url == reruns  # nothing has been told to Streamlit yet
    assert page.evaluate("window.__uotlab_dials.answers") > answers
    assert page.evaluate("window.__uotlab.mounts") == 1
    hand.release()
    page.wait_for_function("!location.search.includes('p.rho1=1&')")
    assert "p.rho1=" in page.url
    assert "p.rho2=" in page.url  # the same on both sides
    assert page.evaluate("window.__uotlab.mounts") == 1


def test_the_end_of_the_slider_is_balanced(page, server):
    open_plans(page, server)
    hand = Drag(page, "rho1").press(0.5)
    hand.to(1.0)
    page.wait_for_function(f"Math.abs({NUMBERS}.share - 1) < 1e-4 && window.__uotlab_dials.values.rho1 === 'inf'")
    hand.release()
    outs = page.locator('[data-dial="rho1"] .uot-outs input')
    assert [outs.nth(k).input_value() for k in range(4)] == ["∞", "0", "∞", "1"]


def test_conventions_are_typed_and_convert(page, server):
    open_plans(page, server)
    outs = page.locator('[data-dial="rho1"] .uot-outs input')
    outs.nth(3).fill("0.5")
    outs.nth(3).press("Enter")
    page.wait_for_function("Math.abs(window.__uotlab_dials.values.rho1 - 0.02) < 1e-9")  # rho = eps τ/(1 - τ)
    assert outs.nth(0).input_value() == "0.02"
    page.wait_for_function("location.search.includes('p.rho1=0.02')")
    outs.nth(0).fill("nonsense")
    outs.nth(0).press("Enter")
    assert page.evaluate("window.__uotlab_dials.values.rho1") == 0.02


def test_sides_are_unlocked_and_keys_turn_a_dial(page, server):
    open_plans(page, server)
    assert page.locator('[data-dial="rho2"]').is_hidden()
    page.locator(".uot-lock input").uncheck()
    page.locator("#uot-rho2").focus()
    before = page.evaluate("window.__uotlab_dials.values")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"window.__uotlab_dials.values.rho2 < {before['rho2']}")
    assert page.evaluate("window.__uotlab_dials.values.rho1") == before["rho1"]
    page.locator("#uot-eps").dblclick()
    page.wait_for_function("window.__uotlab_dials.values.eps === 0.05")


def test_time_plays_without_asking_the_server(page, server):
    open_plans(page, server, QUERY + "&view=plan-path")
    page.wait_for_function("window.__uotlab_player?.graph && window.__uotlab_graph.data.some(t => t.customdata)")
    where = "Array.from(window.__uotlab_graph._fullData.find(t => t.name === 'on its way').y).slice(0, 9)"
    before = page.evaluate(where)
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/live/" in request.url else None)
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("window.__uotlab_player.t > 0.3")
    page.get_by_role("button", name="Pause", exact=True).click()
    assert page.evaluate(where) != before
    assert not [url for url in asked if "/live/frame" not in url]  # the long poll goes on, and brings nothing
    t = page.evaluate("window.__uotlab_player.t")
    hand = Drag(page, "rho1").press(0.4)
    hand.to(0.3)
    hand.release()
    page.wait_for_timeout(500)
    assert page.evaluate("window.__uotlab_player.t") == t  # a turned dial does not turn back time


def test_every_picture_draws(page, server):
    open_plans(page, server)
    names = page.locator(".st-key-q-view button, .st-key-q-view [role=radio]").all_inner_texts()
    assert len(names) >= 8
    for name in names:
        frames = page.evaluate("window.__uotlab.figures")
        picture(page, name)
        page.wait_for_function(f"window.__uotlab.figures > {frames} || {json.dumps(name)} === 'Lines'")
        assert page.locator(".uot-note").first.is_hidden() or "not ready" not in page.locator(".uot-note").first.inner_text()


def test_a_lost_bench_is_made_anew(page, server):
    open_plans(page, server)
    page.evaluate("window.__uotlab_dials.data.id = 'forged'")
    page.locator("#uot-rho1").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("window.__uotlab_dials.data.id !== 'forged'")
    page.wait_for_function(f"{NUMBERS}.n_iter > 0")
    page.wrong[:] = [words for words in page.wrong if "404" not in words]  # the browser tells of the refusal itself


def test_infeasible_values_are_a_sentence_and_a_dial_leads_out(page, server):
    open_plans(page, server, "?solver=sinkhorn&data=gaussians&n=100&d.target_mass=2&p.rho1=1&p.rho2=1")
    hand = Drag(page, "rho1").press(0.5)
    hand.to(1.0)
    page.get_by_text("no plan exists").wait_for()
    hand.to(0.4)
    page.wait_for_function("!window.__uotlab_dials.root.classList.contains('uot-failed')")
    hand.release()


def test_deep_link_first_on_a_fresh_server(fresh_server, page):
    page.goto(f"{fresh_server()}/plans?data=p-to-q&n=100&view=plan")
    page.wait_for_function(f"window.__uotlab && {FRAMES} > 0")
    page.get_by_role("link", name="Plans").first.wait_for()
    assert page.locator("[data-testid=stException]").count() == 0
