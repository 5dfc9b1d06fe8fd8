"""The five lines of README that a notebook needs, run as they stand but for the steps."""

import re

import uotlab
from uotlab.paths import ROOT


def test_five_lines_from_data_to_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    README = (ROOT / "README.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL) if "uotlab.cells.run(" in block)
    assert len(code.strip().splitlines()) == 5
    names = {"uotlab": uotlab}
    exec(compile(code.replace("steps=2000", "steps=5, width=8"), "README.md", "exec"), names)
    study, outcome, genes = (names[k] for k in ("study", "outcome", "genes"))
    own = {k: v for k, v in uotlab.METHODS["uotm"].held_target.items() if k != "steps"}
    assert outcome.settings["params"].items() >= own.items()
    assert outcome.growth.shape == (len(study.source),)
    assert len(genes.genes) == len(study.genes)
    found = {p.name for p in (tmp_path / "runs" / "cells").iterdir()}
    assert {"cells.h5ad", "cells.csv", "growth.csv", "genes.csv", "terms.csv", "report.html", "run.json"} <= found
