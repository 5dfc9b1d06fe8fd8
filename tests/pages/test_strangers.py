"""What strangers write is shown as it stands, and requests that are none get a sentence."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.asking import ORIGIN, ask
from uotlab.ui import routes
from uotlab.ui.plain import plain

SHELL = Path(__file__).parents[2] / "uotlab" / "ui" / "shell.py"


@pytest.mark.parametrize(
    "query", [{"method": "![](http://e.vil/b.png) [click](http://e.vil)"}, {"![](http://e.vil/a.png)": "1"}, {"p.": "1"}]
)
def test_an_address_cannot_put_links_or_images_on_the_page(query):
    at = AppTest.from_file(str(SHELL), default_timeout=60)
    for key, value in query.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    shown = [m.value for m in (*at.warning, *at.error, *at.info)]
    assert len([s for s in shown if "makes no sense" in s]) == 1
    assert not any("](" in s for s in shown)


def test_every_markdown_sign_is_escaped():
    assert plain("![a](b) **c** $d$") == r"\!\[a\]\(b\) \*\*c\*\* \$d\$"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ({"headers": {"host": "[::1"}}, 403),
        ({"headers": {"origin": "http://["}}, 403),
        ({"headers": {"origin": "http://e.vil"}}, 403),
        ({"method": "POST"}, 403),
        ({"method": "GET", "headers": ORIGIN}, 405),
        ({"method": "POST", "headers": ORIGIN, "body": b"[" * 5000}, 422),
        ({"method": "POST", "headers": ORIGIN, "body": b" " * 20_000}, 413),
        ({"method": "POST", "headers": ORIGIN, "body": b'{"job": "forged", "do": "pause"}'}, 404),
    ],
)
def test_control_answers_with_a_sentence(arguments, status):
    code, answer = ask(routes.control, **arguments)
    assert code == status
    assert len(answer["error"]) > 20


def test_a_forged_job_id_has_no_frames():
    code, answer = ask(routes.frame, query="job=../../etc/passwd&view=map")
    assert code == 404
    assert "no run with this id" in answer["error"]


def test_a_link_with_a_papers_tau_opens_at_that_rho():
    """Sinkhorn τ = .9 at eps = .05 is rho = .45."""
    at = AppTest.from_file(str(SHELL), default_timeout=60)
    for key, value in {"method": "uotfm", "data": "two-squares", "p.tau": "0.9"}.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    assert at.session_state["rho.1"] == pytest.approx(0.45)
    assert at.session_state["rho.2"] == pytest.approx(0.45)
