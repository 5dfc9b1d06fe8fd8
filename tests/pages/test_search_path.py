"""Pages that run leave Python's search path alone, for threads that import meanwhile."""

import sys

from streamlit.runtime.scriptrunner.exec_code import modified_sys_path

from uotlab.paths import ROOT
from uotlab.ui.search_path import steady

SHELL = str(ROOT / "uotlab" / "ui" / "shell.py")


def test_a_run_of_a_page_does_not_change_the_search_path(monkeypatch):
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(ROOT / "uotlab" / "ui")])
    before = list(sys.path)
    with modified_sys_path(SHELL):
        assert sys.path != before  # what Streamlit does by itself
    assert sys.path == before
    steady(SHELL)
    held = list(sys.path)
    assert held[:-1] == before
    with modified_sys_path(SHELL):
        assert sys.path == held
    steady(SHELL)
    assert sys.path == held


def test_the_server_keeps_it():
    assert "steady(ROOT / SHELL)" in (ROOT / "app.py").read_text(encoding="utf-8")
