"""What the learned map and scaling pay in the run's own problem, against the optimum.

    J(T, xi) = a E_mu[xi c(x, T x)] + rho1 a E_mu[psi1(xi)] + rho2 D2(T#(xi mu) | nu)

D2 needs the image's density. In order: Gaussian moments and masses where the target is a known Gaussian; weighted nearest neighbours where
their floor is small against the value; else b E_nu[psi2(zeta)] of the method's own target scaling, which is right where the image is the
re-weighted target (its W2 distance is a metric of its own). A note says which. A held marginal costs nothing.
"""

import math
from typing import NamedTuple

from torch import Tensor

from uotlab.metrics.base import METRICS, Evaluation, Metric, Scores
from uotlab.metrics.marginal_divergence import target_kl

FINE = 0.05  #: share of the value that an estimate's floor may be
TELL = 0.01  #: share of the value from which a gap that the training points leave is put into words


class Side(NamedTuple):
    """Points x (n, d) with masses a (n,), their images and scaling; target points y (m, d) with masses b (m,) and scaling or None."""

    x: Tensor
    a: Tensor
    Tx: Tensor
    xi: Tensor
    y: Tensor
    b: Tensor
    zeta: Tensor | None


@METRICS.register("objective")
class Objective(Metric):
    """J(T, xi) in the cost's own units, its gap to the optimal value in %, and the gap that so many training points leave to anyone."""

    title, unit, better, order = "Objective of (T, ξ)", "cost units", "neither", 7
    summary = (
        "Transport cost plus what both marginals pay, and its distance from the optimal value in %. A held marginal costs nothing here, "
        "so that a balanced map which misses the target may pay too little: see W2."
    )

    def __call__(self, e: Evaluation) -> dict[str, float]:
        learned = self._points(e)
        near = self._moved(e, learned)
        paid, how, resolved = self._second(e, learned, near)
        if paid is None:
            return Scores(notes={self.name: f"No objective: {how}"})
        value = near + paid
        if not math.isfinite(value):
            return {}
        scores = Scores({"objective": value}, {self.name: f"The objective's second divergence is by {how}."} if how else {})
        best = e.reference
        if best is None or best.value == 0:
            return scores
        compared = best.value
        if best.exact and resolved:  # the same points and the same estimator for both: what they have in common cancels
            one = learned._replace(Tx=best.Tx, xi=best.xi, zeta=best.zeta)
            compared = self._moved(e, one) + (self._second(e, one, 0.0, how)[0] or 0.0)
        scores["objective gap %"] = 100 * (value - compared) / abs(best.value)
        floor = best.noise.get("trained", 0.0)
        if floor:
            scores["objective gap % floor"] = 100 * floor
        if floor > TELL:
            scores.notes[self.name] += f" Of its gap, the points trained on leave {floor:.1%} to the best of learners: take more of them."
        noise = best.noise.get("value", 0.0)
        if abs(value - compared) < noise * abs(best.value):
            scores.notes[self.name] = (
                scores.notes.get(self.name, "") + f" Its gap is not told from 0: sampling alone moves the reference's value by {noise:.1%}."
            ).strip()
        return scores

    def _points(self, e: Evaluation) -> Side:
        """The reference's points where there are any, so that both are scored on the same; else the evaluation's own."""
        if e.reference is not None and e.answers is not None:
            r, found = e.reference, e.answers
            ones = r.a.new_ones(len(r.a))
            return Side(r.x, r.a, found.Tx, ones if found.xi is None else found.xi.double(), r.y, r.b, found.zeta)
        a, b = (w.double().new_full((len(w),), mass / len(w)) for w, mass in zip((e.x[:, 0], e.y[:, 0]), e.masses))
        return Side(e.x, a, e.Tx, e.weights.double(), e.y, b, e.zeta)

    def _moved(self, e: Evaluation, p: Side) -> float:
        """Transport cost and what the source pays, in the cost's own units."""
        cost = float(p.a @ (p.xi * e.cost(p.x, p.Tx).double()))
        paid = 0.0 if math.isinf(e.penalty.rho1) else e.penalty.rho1 * float(p.a @ e.psi(1).psi(p.xi))
        return e.cost.scale * (cost + paid)

    def _second(self, e: Evaluation, p: Side, near: float, how: str = "") -> tuple[float | None, str, bool]:
        """(rho2 D2 in the cost's own units or None, how it was estimated or why not, whether the image was looked at)."""
        weight = e.penalty.rho2 * e.cost.scale
        if math.isinf(weight):
            return 0.0, "", True
        why = "its divergence is not KL"
        if e.divergences[1] == "kl":
            even = float(p.b.max()) <= 1.001 * float(p.b.min())
            read = target_kl(p.Tx, p.a * p.xi, p.y, float(p.b.sum()), e.truth if even else {})
            if read.known and (how or read.how == "Gaussian moments" or weight * read.floor <= FINE * abs(near + weight * read.value)):
                return weight * read.value, read.how, True
            why = read.how.rstrip(".") if not read.known else f"nearest neighbours would leave ±{weight * read.floor:.2g} open"
        if p.zeta is None:
            return None, f"{why}, and the method has no target scaling to take it from.", False
        return weight * float(p.b @ e.psi(2).psi(p.zeta.double())), f"the method's own target scaling ({why})", False
