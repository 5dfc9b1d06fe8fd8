"""The page of cells in a real browser: it trains, the picture moves, a lasso selects cells, genes appear."""

import pytest

pytestmark = pytest.mark.browser
GRAPH = ".st-key-cells_live .js-plotly-plot"
RUN = "/cells?method=uotm&data=dentate-gyrus&steps={steps}&p.rho1=0.95&p.rho2=inf&p.width=16&p.depth=1"


@pytest.mark.timeout(400)
def test_cells_train_and_a_lasso_selects_some(page, server):
    page.goto(server + RUN.format(steps=60))
    page.wait_for_function(f"document.querySelector('{GRAPH}')?.data?.length >= 2", timeout=90_000)
    page.locator(".st-key-play button:not([disabled])").first.click()
    page.wait_for_function(f"document.querySelector('{GRAPH}')?.data?.some(t => t.name === 'mapped')", timeout=90_000)
    page.wait_for_function("window.__uotlab?.status?.state === 'done'", timeout=120_000)
    page.wait_for_timeout(1500)
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
    page.locator(".st-key-w\\.section, [class*='st-key-w-section']").get_by_text("Genes", exact=True).click()
    page.get_by_text("Genes of").wait_for(timeout=120_000)
