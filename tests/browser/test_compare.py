"""Compare and sweep in a real browser: pictures fill and move while runs train, zoom is linked, links lead on."""

import json
import re

import pytest

pytestmark = pytest.mark.browser
MAPS = ".st-key-compare-live-maps .js-plotly-plot"
CURVES = ".st-key-compare-live-curves .js-plotly-plot"
LONG = 170_000  #: ms; four runs and their scores on a busy machine
PICTURE = ".st-key-sweep-live .js-plotly-plot"
SWEEP = "?methods=uotm&data=gaussians&grid.rho=1,inf&seeds=0,1&steps={steps}&n=64&p.width=8&p.depth=1&p.batch_size=16"


def click(page, key):
    page.locator(f".st-key-{key} button:not([disabled])").first.click()


def names(page, graph):
    return page.evaluate(f"document.querySelector({json.dumps(graph)})?.data?.map(t => t.name) ?? []")


def drawn(page, graph, condition):
    page.wait_for_function(f"(() => {{ const g = document.querySelector({json.dumps(graph)}); return g?.data && ({condition}); }})()")


def start_runs(page, server, count=2):
    """Short runs in the lab, and the address of the session."""
    page.goto(f"{server}/?method=uotm&data=moons-to-spiral&steps=40&n=300&p.batch_size=32")
    jobs = []
    for _ in range(count):
        page.locator(".st-key-play button:not([disabled])").first.click()
        page.wait_for_function("window.__uotlab?.status?.state === 'done' && !" + json.dumps(jobs) + ".includes(window.__uotlab.data.job)")
        jobs.append(page.evaluate("window.__uotlab.data.job"))
    return jobs, page.evaluate("new URLSearchParams(location.search).get('me')")


@pytest.mark.timeout(400)
def test_a_sweep_fills_its_picture_and_leads_to_the_comparison(page, server):
    page.goto(f"{server}/sweep{SWEEP.format(steps=30)}")
    click(page, "sweep_start")
    page.get_by_text("4 of 4 runs done").wait_for(timeout=LONG)
    drawn(page, PICTURE, "g._fullData.some(t => t.mode === 'lines+markers' && t.x.length === 2)")
    assert any(name.startswith("UOTM") for name in names(page, PICTURE))
    assert "sweep=" in page.url
    mounts = page.evaluate("window.__uotlab.mounts")
    page.locator(".st-key-sweep_metric").get_by_role("combobox").click()
    page.get_by_role("option").nth(2).click()
    page.wait_for_function("location.search.includes('metric=')")
    assert page.evaluate("window.__uotlab.mounts") == mounts  # another metric is drawn in the same graph
    address = page.url
    page.goto(address)  # as a bookmark
    page.get_by_text("4 of 4 runs done").wait_for(timeout=LONG)
    drawn(page, PICTURE, "g.data.length >= 2")


def test_a_sweep_is_cancelled_and_goes_on(page, server):
    page.goto(f"{server}/sweep{SWEEP.format(steps=1000000)}")
    click(page, "sweep_start")
    page.get_by_text(re.compile(r"\d running")).first.wait_for()  # as many as there are cores
    click(page, "sweep_cancel")
    page.locator(".st-key-sweep_resume button").first.wait_for()
    click(page, "sweep_resume")
    page.locator(".st-key-sweep_cancel button").first.wait_for()
    click(page, "sweep_cancel")
    page.locator(".st-key-sweep_resume button").first.wait_for()


def test_runs_side_by_side_with_linked_zoom(page, server):
    jobs, me = start_runs(page, server)
    page.goto(f"{server}/compare?me={me}&runs={','.join(jobs)}")
    drawn(page, CURVES, "g.data.length === 4")
    page.locator(".st-key-compare-live-maps").scroll_into_view_if_needed()  # what is not in sight is not drawn
    drawn(page, MAPS, "g.data.filter(t => !t.name.includes('target')).length === 2")
    colours = page.evaluate(f"document.querySelector('{MAPS}').data.filter(t => !t.name.includes('target')).map(t => t.marker.color)")
    lines = page.evaluate(f"document.querySelector('{CURVES}').data.filter(t => !t.name.endsWith('raw')).map(t => t.line.color)")
    assert colours == lines
    assert len(set(colours)) == 2
    box = page.locator(f"{MAPS} .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.6, steps=4)
    page.mouse.up()
    same = "Math.abs(g._fullLayout.xaxis2.range[0] - g._fullLayout.xaxis.range[0]) < 1e-9"
    narrow = "Math.abs(g._fullLayout.xaxis.range[1] - g._fullLayout.xaxis.range[0]) < 30"  # of more than 50
    drawn(page, MAPS, f"{same} && {narrow}")
    page.get_by_text("All settings").click()
    page.wait_for_timeout(1500)
    drawn(page, MAPS, f"{same} && {narrow}")  # zoom is kept


def test_a_comparison_follows_a_run_that_trains(page, server):
    page.goto(f"{server}/?method=uotm&data=moons-to-spiral&steps=1000000&n=300&p.batch_size=32")
    page.locator(".st-key-play button").click()
    page.wait_for_function("window.__uotlab?.status?.state === 'running' && window.__uotlab.status.step > 5")
    job = page.evaluate("window.__uotlab.data.job")
    me = page.evaluate("new URLSearchParams(location.search).get('me')")
    page.goto(f"{server}/compare?me={me}&runs={job}")
    drawn(page, CURVES, "g._fullData.length > 1 && g._fullData[1].x.length > 3")
    last = f"(() => {{ const x = document.querySelector('{CURVES}')._fullData[1].x; return x[x.length - 1]; }})()"
    before = page.evaluate(last)
    page.wait_for_function(f"{last} > {before}")
    page.evaluate("""(job) => fetch('/live/control', {method: 'POST', body: JSON.stringify({job, do: 'stop'})}).then(r => r.status)""", job)


def test_deep_links_first_on_fresh_servers(fresh_server, page):
    page.goto(f"{fresh_server()}/compare")
    page.get_by_text("Nothing to compare yet").wait_for()
    page.goto(f"{fresh_server()}/sweep")
    page.locator(".st-key-sweep_start button").wait_for()
    assert page.locator("[data-testid=stException]").count() == 0
