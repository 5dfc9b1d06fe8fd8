"""The gallery in a real browser: pictures with words for those who cannot see them, one click to a run, a phone's width."""

import pytest

pytestmark = pytest.mark.browser
PICTURES = """() => [...document.querySelectorAll('[class*=st-key-card-] img')]
  .map(i => ({ alt: i.alt, loaded: i.complete && i.naturalWidth > 0 }))"""
OVERFLOW = "() => document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"


def open_gallery(page, address, query=""):
    page.goto(f"{address}/gallery{query}")
    page.locator("[class*=st-key-card-] img").first.wait_for()


def test_a_deep_link_opens_the_filtered_gallery(page, fresh_server):
    open_gallery(page, fresh_server(), "?paper=Choi+et+al.+(2023)")
    page.wait_for_function(f"({PICTURES})().length >= 5 && ({PICTURES})().every(i => i.loaded)")
    pictures = page.evaluate(PICTURES)
    assert all(len(p["alt"]) > 30 for p in pictures)
    page.locator(".st-key-topic button", has_text="Outliers").click()
    page.wait_for_function("document.querySelectorAll('[class*=st-key-card-]').length === 2")
    assert "topic=Outliers" in page.url


def test_the_keyboard_reaches_filters_and_buttons(page, server):
    open_gallery(page, server, "?paper=Choi+et+al.+(2023)")
    page.locator(".st-key-run-choi-2b button").first.focus()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.closest('[class*=st-key-card-]') !== null")
    page.locator(".st-key-topic button").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("new URLSearchParams(location.search).has('topic')")


def test_one_click_trains_and_shows_the_wanted_picture(page, server):
    open_gallery(page, server)
    page.locator(".st-key-run-eyring-2g button").first.click()
    page.locator(".st-key-live .main-svg").first.wait_for()
    page.get_by_text("Trajectories", exact=True).wait_for()
    page.wait_for_function("document.querySelector('[role=radio][aria-checked=true]')?.innerText === 'Trajectories'")
    assert "job=" in page.url
    page.get_by_role("button", name="Stop").click()


def test_nothing_sticks_out_on_a_phone(page, server):
    page.set_viewport_size({"width": 420, "height": 900})
    open_gallery(page, server)
    assert page.evaluate(OVERFLOW) <= 0
