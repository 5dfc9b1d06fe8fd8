"""How far the scaling factors are from the optimal ones."""

import math

import torch
from scipy.stats import spearmanr
from torch import Tensor

from uotlab.metrics.base import METRICS, Evaluation, Metric, Scores

LEAST = 1e-3  #: a point with a smaller factor takes no part, however small


def log_rmse(found: Tensor, wanted: Tensor, a: Tensor) -> float:
    """Root of the mean, under masses a, of the squared log ratio of factors (n,)."""
    gap = found.double().clamp(min=LEAST).log() - wanted.double().clamp(min=LEAST).log()
    return float((a @ gap.square() / a.sum()).sqrt())


@METRICS.register("scaling-error")
class ScalingError(Metric):
    """Spearman's correlation of xi with the optimal xi, and the root mean squared log ratio of both, at the source and at the target."""

    title, unit, better, live, order = "Scaling error", "log ratio", "lower", True, 5
    summary = "Root mean squared log ratio between the scaling factors and the optimal ones (.1 is 10%), and their rank correlation."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        if e.reference is None or e.answers is None:
            return {}
        scores, noise = Scores(), e.reference.noise.get("scaling")
        if e.answers.xi is not None and math.isfinite(e.penalty.rho1):
            xi, best = e.answers.xi, e.reference.xi
            scores["scaling error"] = log_rmse(xi, best, e.reference.a)
            if min(float(v.max() - v.min()) for v in (xi, best)) > 1e-9:
                scores["scaling error spearman"] = float(spearmanr(xi.double().numpy(), best.numpy()).statistic)
            if noise is not None and scores["scaling error"] < math.sqrt(2) * noise:
                scores.notes[self.name] = f"The scaling error is not told from the reference's own by sampling, {noise:.2g}."
            elif noise is not None and float(best.log().std()) < 2 * noise:
                scores.notes[self.name] = (
                    "The optimal scaling hardly differs from point to point here: its ranks are mostly sampling noise."
                )
        if e.answers.zeta is not None and math.isfinite(e.penalty.rho2):
            scores["scaling error target"] = log_rmse(e.answers.zeta, e.reference.zeta, e.reference.b)
        return Scores({k: v for k, v in scores.items() if math.isfinite(v)}, scores.notes)


@METRICS.register("mass-error")
class MassError(Metric):
    """|mass - mass*| / mass* of the transported masses, both at the reference's points."""

    title, unit, live, order = "Mass error", "share", True, 6
    summary = "How far the transported mass is from the optimal one, as a share of it."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        if e.reference is None or e.answers is None or e.answers.xi is None or not math.isfinite(e.penalty.rho1):
            return {}
        a = e.reference.a
        best, found = float(a @ e.reference.xi), float(a @ torch.as_tensor(e.answers.xi).double())
        error = abs(found - best) / best if best > 0 else math.nan
        return {"mass error": error} if math.isfinite(error) else {}
