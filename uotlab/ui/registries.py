"""Import every one-file plug-in once, before the first page opens."""

from uotlab.costs import COSTS
from uotlab.data.base import DATASETS
from uotlab.divergences import DIVERGENCES
from uotlab.methods.base import METHODS
from uotlab.metrics.base import METRICS
from uotlab.plans.solver import SOLVERS
from uotlab.views.base import VIEWS


def discover() -> None:
    """Look into each registry, which imports its package."""
    for registry in (COSTS, DATASETS, DIVERGENCES, METHODS, METRICS, SOLVERS, VIEWS):
        len(registry)
