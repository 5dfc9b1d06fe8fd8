"""Does each marginal give a learned barycenter its whole mass, and do the potentials agree?"""

from uotlab.metrics.base import METRICS, Evaluation, Metric


@METRICS.register("marginal-mass")
class MarginalMass(Metric):
    """E[psi_k*'((f_k - c_k)/rho_k)] of every marginal k: 1 at the optimum, since each carries the barycenter's mass."""

    begins = ("mass of marginal",)
    title, unit, better, of, live, order = "Mass of each marginal", "mass", "neither", "barycenter", True, 1
    summary = (
        "How much mass each marginal gives to the barycenter. All must come to 1; the distance tells how far training is from its end."
    )

    def __call__(self, e: Evaluation) -> dict[str, float]:
        taken = () if e.barycenter is None else e.barycenter.taken
        return {f"mass of marginal {k}": float(w.mean()) for k, w in enumerate(taken, 1)}


@METRICS.register("congruence")
class Congruence(Metric):
    """Largest |sum_k lambda_k f_k - m| at images of all marginals, in units of the mean cost: rounding, by construction."""

    title, unit, of, live, order = "Congruence residual", "mean cost", "barycenter", True, 4
    summary = "How far the weighted sum of the potentials is from the constant that it must be. Rounding alone, if all is right."

    def __call__(self, e: Evaluation) -> dict[str, float]:
        return {} if e.barycenter is None else {"congruence residual": float(e.barycenter.residual.abs().max())}
