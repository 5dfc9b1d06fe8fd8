"""The page of cells in a real browser: it trains, a lasso selects cells and every section follows; a sweep, and the report."""

import pytest

pytestmark = pytest.mark.browser
GRAPH = ".st-key-cells_live .js-plotly-plot"
LEFT = ".st-key-csweep_cancel:visible, .st-key-csweep-row:visible, .st-key-live-cells-sweep:visible"
RUN = "/cells?method=uotm&data=dentate-gyrus&steps={steps}&p.rho1=0.95&p.rho2=inf&p.width=16&p.depth=1"


def section(page, title):
    page.locator("[class*='st-key-w-section']").get_by_text(title, exact=True).click()


def trained(page, server):
    page.goto(server + RUN.format(steps=60))
    page.wait_for_function(f"document.querySelector('{GRAPH}')?.data?.length >= 2", timeout=90_000)
    page.locator(".st-key-play button:not([disabled])").first.click()
    page.wait_for_function(f"document.querySelector('{GRAPH}')?.data?.some(t => t.name === 'mapped')", timeout=90_000)
    page.wait_for_function("window.__uotlab?.status?.state === 'done'", timeout=120_000)
    page.wait_for_timeout(1500)


@pytest.mark.timeout(400)
def test_cells_train_and_a_lasso_is_followed(page, server):
    trained(page, server)
    box = page.locator(GRAPH).bounding_box()
    page.locator(f"{GRAPH} [data-title='Lasso Select']").click()
    corners = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.85), (0.2, 0.85), (0.2, 0.2)]
    x, y = (
        [box[a] + share * box[b] for share in shares]
        for a, b, shares in (("x", "width", [c[0] for c in corners]), ("y", "height", [c[1] for c in corners]))
    )
    page.mouse.move(x[0], y[0])
    page.mouse.down()
    for at in zip(x[1:], y[1:], strict=True):
        page.mouse.move(*at, steps=6)
    page.mouse.up()
    page.get_by_text("cells selected").wait_for(timeout=30_000)
    page.wait_for_function(f"document.querySelector('{GRAPH}')?.data?.some(t => t.name === 'chosen')")
    section(page, "Growth")
    page.get_by_text("Mean growth of the selected").wait_for(timeout=60_000)
    section(page, "Fates")
    page.wait_for_function("document.querySelector('.st-key-fates_push')?.innerHTML.includes('the selected cells')", timeout=60_000)
    section(page, "Genes")
    page.get_by_text("selected cells against").wait_for(timeout=120_000)


@pytest.mark.timeout(400)
def test_streams_a_sweep_that_is_cancelled_and_the_report(page, server):
    trained(page, server)
    page.locator(".st-key-cells-options [data-testid=stSelectbox]").first.click()
    page.get_by_role("option", name="Velocity: streams").click()
    page.wait_for_function(f"document.querySelector('{GRAPH}')?.data?.some(t => t.name === 'velocity')")
    section(page, "τ sweep")
    page.locator(".st-key-csweep_start button").click()
    page.wait_for_function("document.querySelector('.st-key-live-cells-sweep .js-plotly-plot')?.data?.length >= 1", timeout=120_000)
    page.locator(".st-key-csweep_cancel button").click()
    page.get_by_text("Cancelled; here is what was done till then.").wait_for()
    section(page, "Take away")
    page.locator(".st-key-report_start button").click()
    file = page.locator(".st-key-cells_report button")
    file.wait_for(timeout=120_000)
    with page.expect_download() as download:
        file.click()
    text = download.value.path().read_text(encoding="utf-8")
    assert "<h2>Settings</h2>" in text
    assert download.value.suggested_filename == "dentate-gyrus-uotm.html"


@pytest.mark.timeout(400)
def test_a_section_is_left_behind_with_all_that_refreshes_in_it(page, server):
    """The sweep's part looks every second, and was drawn in a run of the whole page: Streamlit goes on running it."""
    trained(page, server)
    section(page, "τ sweep")
    page.locator(".st-key-csweep_seeds input").fill("10")  # on a quiet machine fewer are done before the end of this test
    page.locator(".st-key-csweep_seeds input").press("Enter")
    page.locator(".st-key-csweep_start button").click()
    page.locator(".st-key-csweep_cancel button").wait_for(timeout=60_000)
    for back in (False, True):
        page.locator(".st-key-open_cells button").click()
        page.get_by_text("Your own cells", exact=True).wait_for(state="detached" if back else "visible")
    page.locator(".st-key-csweep-row").wait_for(timeout=120_000)
    section(page, "Perturbation")
    page.get_by_text("A balanced and an unbalanced method").wait_for()
    for _ in range(5):  # some looks of the sweep's
        page.wait_for_timeout(1000)
        assert not page.locator(LEFT).count()
        assert page.get_by_text("This run, on cells it has not seen").count() == 1
    section(page, "τ sweep")
    page.locator(".st-key-csweep-row").wait_for()
    page.locator(".st-key-csweep_cancel button").click()


def test_a_phone_has_the_names_of_the_colours_below_the_picture(page, server):
    page.set_viewport_size({"width": 420, "height": 860})
    page.goto(server + RUN.format(steps=60))
    page.wait_for_function(f"document.querySelector('{GRAPH}')?._fullData?.length >= 2", timeout=90_000)
    bars = page.evaluate(f"document.querySelector('{GRAPH}')._fullData.map(t => t.marker?.showscale && t.marker.colorbar)")
    shown = [bar for bar in bars if bar]
    assert [bar["orientation"] for bar in shown] == ["h"]
    assert "Neuroblast" in shown[0]["ticktext"]
