"""The report: whole, escaped, loading nothing, and saying why a part is missing."""

import json
import math
import re

import numpy as np
import pytest

from tests.cells.small import study_of_arrays
from uotlab import cells
from uotlab.cells.outcome import Outcome
from uotlab.cells.report import report
from uotlab.cells.running import run
from uotlab.errors import InputError

EVIL = "</script><script>alert(1)</script><b>B</b>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    study = cells.load("pancreas-simulated", n=150, seed=0)
    outcome = run(study, "sinkhorn", rho1=0.95, rho2=math.inf)
    path = tmp_path_factory.mktemp("report") / "report.html"
    text = report(outcome, path, shuffles=2)
    assert path.read_text(encoding="utf-8") == text
    return text


def test_the_report_is_whole(page):
    for title in ("Settings", "Growth", "Fates", "Genes", "Training"):
        assert f"<h2>{title}</h2>" in page
    for word in ("sinkhorn", "rho1", "seed", "scanpy", "Simulated", "descriptive", "Ngn3 EP", "null_p", "Spearman", "transported mass"):
        assert word in page, word
    figures = re.findall(r'<script type="application/json" data-at="(figure\d+)">(.*?)</script>', page, re.DOTALL)
    assert len(figures) >= 9
    for name, text in figures:
        assert f'id="{name}"' in page
        assert json.loads(text)["data"]
    assert "scattergl" not in "".join(text for _, text in figures)


def test_the_report_loads_nothing(page):
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)  # plotly.js names addresses, which the policy forbids
    assert not re.search(r"""(src|href)\s*=\s*["']?http""", own)
    assert "default-src 'none'" in page
    assert page.count("<script>") == 2


def test_texts_of_others_stay_texts():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
    kinds = np.repeat(["A", EVIL], 20)
    study = study_of_arrays(x, y, kinds, kinds, notes=(EVIL,), title=EVIL)
    text = report(Outcome(study, study.y, rng.gamma(2, size=40), settings={"method": EVIL}))
    assert "<script>alert" not in text
    assert "<b>B" not in text
    assert "come without genes" in text  # why a part is missing


def test_a_balanced_method_says_that_it_has_no_growth():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3))
    study = study_of_arrays(x, x, ["A"] * 30, ["A"] * 30)
    text = report(Outcome(study, study.y), figures=False)
    assert "keeps every cell&#x27;s mass" in text
    assert "figure1" not in text
    assert len(text) < 50_000
    with pytest.raises(InputError, match="cannot be written"):
        report(Outcome(study, study.y), "/nowhere/at/all.html", figures=False)
