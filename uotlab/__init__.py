"""uotlab: train unbalanced optimal transport methods and watch them learn.

>>> p = load("moons-to-spiral")
>>> r = fit("uotm", p, tau=0.1)
>>> r.transport(x), r.scaling(x), r.evaluate()
"""

from uotlab import cells
from uotlab.costs import COSTS
from uotlab.data.base import DATASETS, load
from uotlab.divergences import DIVERGENCES
from uotlab.engine.fitted import Fitted, fit
from uotlab.engine.spec import RunSpec
from uotlab.engine.sweeping import sweep
from uotlab.errors import InputError
from uotlab.methods.base import METHODS
from uotlab.metrics.base import METRICS
from uotlab.penalty import Penalty
from uotlab.plans.barycenters.base import BARYCENTERS, barycenter
from uotlab.plans.barycenters.result import BarycenterResult
from uotlab.plans.base import Plan
from uotlab.plans.batched import sinkhorn_batch
from uotlab.plans.debiased import sinkhorn_divergence
from uotlab.plans.emd import exact
from uotlab.plans.ipot import ipot
from uotlab.plans.lazy import sinkhorn_lazy
from uotlab.plans.partial import partial
from uotlab.plans.sinkhorn import sinkhorn
from uotlab.plans.solver import SOLVERS, plan
from uotlab.problem import Measure, Problem
from uotlab.views.base import VIEWS

__version__ = "0.1.0"

__all__ = [
    "BARYCENTERS",
    "COSTS",
    "DATASETS",
    "DIVERGENCES",
    "METHODS",
    "METRICS",
    "SOLVERS",
    "VIEWS",
    "BarycenterResult",
    "Fitted",
    "InputError",
    "Measure",
    "Penalty",
    "Plan",
    "Problem",
    "RunSpec",
    "barycenter",
    "cells",
    "exact",
    "fit",
    "ipot",
    "load",
    "partial",
    "plan",
    "sinkhorn",
    "sinkhorn_divergence",
    "sinkhorn_batch",
    "sinkhorn_lazy",
    "sweep",
]
