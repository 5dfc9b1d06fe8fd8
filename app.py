"""The server: `streamlit run app.py`. Heavy imports happen here, once, so that no page and no job waits for them."""

import gc
import threading

import streamlit as st

import uotlab
from uotlab.engine.runner import warm_optimisers, warm_up
from uotlab.paths import ROOT
from uotlab.ui import plans_bench
from uotlab.ui.barycenters_route import TASK_ROUTES
from uotlab.ui.plans_route import PLAN_ROUTES
from uotlab.ui.registries import discover
from uotlab.ui.routes import ROUTES
from uotlab.ui.search_path import steady

__all__ = ["app", "uotlab"]


def warm_in_background() -> None:
    """What no page needs, while the server answers already."""
    warm_optimisers()
    # what is alive now stays: the collector need not walk through torch while a job trains
    gc.freeze()


SHELL = "uotlab/ui/shell.py"

steady(ROOT / SHELL)
discover()
warm_up()
threading.Thread(target=warm_in_background, name="warm-up", daemon=True).start()
plans_bench.warm_up()

app = st.App(SHELL, routes=[*ROUTES, *PLAN_ROUTES, *TASK_ROUTES])
