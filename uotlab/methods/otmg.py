"""OT-MG: a map that carries the source onto the target and whose Monge gap, its distance from being optimal, is small.

    min_T  S_eps(T#mu, nu) + weight [ E c(x, T(x)) - W_eps(mu, T#mu) ]

S is the debiased Sinkhorn divergence, W the entropic cost <P, C> - eps H(P) with Shannon's entropy: the gap is then never negative
(with KL(P | a b^T) in its place it would be, even for optimal maps). Every plan is a constant to the gradient: by the envelope theorem
that is exact at the optimal plan, and no iteration of Sinkhorn is ever differentiated.

Differs from the paper: S pairs one half of the batch with the other in its self-term, without which mini-batches pull images together
in many dimensions (salimans2018improving). So does the gap (`gap_pairs="halves"`), with S in W's place: among a batch's own images each
point is nearest to its own one, however T turns, once dimensions are many, and the gap reads 0. On Gaussians in 16-D maps were off by 43%
of the spread so, and are by a tenth now; in 2-D 6.4% became 4.8%. A gap between samples also pulls images inwards, which narrows them
(objective 64% off in 16-D after 1000 steps): what of its gradient would change their mean or covariance is left to the fit (`gap_keeps`;
8%, and the map 6% off for 9%), and its weight falls with time. Weights shrink (`shrink`): nets learned the tails of 4000 points in 2-D by
heart. As in the paper: gap_pairs="own", gap_keeps="nothing", gap_weight=.1 (the authors' code), gap_half=0, eps_gap=.01, shrink=0; its gap
is shown without the offset eps H(a) of a perfect map.
Reference: uscidda2023monge, Definition 3.1 and eq. (8); eyring2024unbalancedness, eq. (4), (5) and Section F.4.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from uotlab.methods.base import METHODS, State
from uotlab.methods.rebalance import Batch
from uotlab.methods.warm import WarmStart
from uotlab.nets.mlp import Activation, Standard
from uotlab.nets.training import adam, decayed, descend, ema_copy, ema_update, set_lr
from uotlab.nets.transport_map import TransportMap
from uotlab.penalty import Penalty
from uotlab.plans.sinkhorn import solve
from uotlab.problem import Problem

HELD = Penalty()  #: both marginals held
EPS_A_DIMENSION, MOST_EPS = 0.015, 0.1  #: temperatures that are not given, in mean costs


def fitting_loss(C: Tensor, C_self: Tensor, P: Tensor, P_self: Tensor) -> Tensor:
    """<P, C(Tx, y)> - <P', C(Tx, Tx')> / 2: the Sinkhorn divergence S(T#mu, nu) but for terms that do not depend on T.

    Its gradient is that of S: P, P' are optimal plans, so that by the envelope theorem they count as constants.
    Reference: feydy2019interpolating, eq. (3).
    """
    return (P * C).sum() - (P_self * C_self).sum() / 2


def negentropy(p: Tensor) -> Tensor:
    """sum p log p, 0 where p is 0; several times faster than xlogy."""
    return (p * p.clamp(min=torch.finfo(p.dtype).tiny).log()).sum()


def monge_gap_loss(c: Tensor, C: Tensor, P: Tensor, a: Tensor, eps: float) -> Tensor:
    """<a, c(x, Tx)> - <P, C(x, Tx)> + eps (H(P) - H(a)): 0 or more, and 0 as eps falls where T is optimal for its own image.

    Args:
        c: cost of each pair (x, Tx), (n,); C: of all pairs, (n, n).
        P: the entropic plan between a on x and a on Tx, which by the envelope theorem counts as a constant.
    Reference: uscidda2023monge, Definition 3.1, less eps H(a), the gap of a perfect map's own pairs.
    """
    entropy = negentropy(a) - negentropy(P)
    gap = a @ c - (P * C).sum() + eps * entropy
    # diag(a), the map's own pairs, is a plan too, of gap 0: it counts where P, good to a tolerance only, is worse
    return gap.clamp(min=0)


def sampled_gap_loss(c: Tensor, a: Tensor, S: Tensor) -> Tensor:
    """<a, c(x, Tx)> - S_eps(mu, T#mu): c (n,) of each point and its image, S of images and other points of the source.

    About 0 where T is optimal for its own image, but for sampling, which may take it below. No image meets its own point in S.
    Reference: uscidda2023monge, Definition 3.1, with the divergence of feydy2019interpolating, eq. (3), in W's place.
    """
    return a @ c - S


def swaps(v: Tensor, Tx: Tensor, a: Tensor) -> Tensor:
    """What of a displacement v (n, d) of images Tx (n, d) with shares a (n,) leaves their mean and covariance as they are.

    The rest, taken away, is shift + S (Tx - mean) with the symmetric S that changes the covariance as v does, to first order:
    S K + K S = M + M^T, where K is the covariance and M = E[v (Tx - mean)^T].
    """
    v, centred = v - a @ v, Tx - a @ Tx
    K, M = (a[:, None] * centred).T @ centred, (a[:, None] * v).T @ centred
    scale, Q = torch.linalg.eigh(K.double().nan_to_num())
    floor = 1e-6 * scale.max().clamp(min=torch.finfo(scale.dtype).tiny)
    inside = Q.T @ (M + M.T).double() @ Q / (scale[:, None] + scale[None]).clamp(min=floor)
    return v - centred @ (Q @ inside @ Q.T).to(v)


@dataclass(eq=False)
class GapState(State):
    """The map, its moving average and its optimiser."""

    T: TransportMap
    T_ema: TransportMap
    T_optimiser: torch.optim.Adam


@METHODS.register("otmg")
class OTMG(WarmStart):
    """Optimal transport map by the Monge gap."""

    title, family, order = "OT-MG", "Monge gap", 22
    summary = (
        "Fits the target by a Sinkhorn divergence while a second term keeps the map optimal; no opponent, so it is stable, "
        "and any differentiable cost works. Every point keeps its mass."
    )
    equation = (
        r"\min_T\;S_\varepsilon(T_\#\mu,\nu)+\lambda\Big[\mathbb E_\mu\,c(x,Tx)-W_\varepsilon(\mu,T_\#\mu)\Big],\quad "
        r"W_\varepsilon=\min_P\langle P,C\rangle-\varepsilon H(P)"
    )
    reference = "uscidda2023monge"
    convention = "sinkhorn"
    relaxed = (False, False)
    default_steps: ClassVar[int] = 2000
    losses: ClassVar[tuple[Any, ...]] = (fitting_loss, sampled_gap_loss, monge_gap_loss)

    width: int = Field(128, ge=4, le=2048, description="Units in each hidden layer")
    depth: int = Field(3, ge=1, le=12, description="Hidden layers")
    activation: Activation = Field("silu", description="Activation of hidden layers")
    gap_weight: float = Field(0.5, ge=0, description="Weight λ of the Monge gap at the start; 0 only fits the target")
    gap_half: int = Field(1000, ge=0, description="Steps after which λ has fallen to half (as 1/(1 + step/steps)); 0 keeps it")
    gap_pairs: Literal["halves", "own"] = Field(
        "halves", description="Points that the gap compares images with: the batch's other half, or (the paper) their own"
    )
    gap_keeps: Literal["moments", "nothing"] = Field(
        "moments",
        description="What of images the gap may not change: their mean and covariance, which the fit sets, or nothing (the paper)",
    )
    eps_fit: float = Field(
        0.0, ge=0, le=10, description="Entropic temperature of the fitting loss in mean costs; 0 takes .015 a dimension, .1 at most"
    )
    eps_gap: float = Field(
        0.0, ge=0, le=10, description="Entropic temperature of the Monge gap in mean costs; 0 takes .015 a dimension, .1 at most"
    )
    tol: float = Field(1e-3, ge=1e-8, le=0.5, description="Relative certificate at which a mini-batch plan is good enough")
    lr: float = Field(5e-3, gt=0, le=1, description="Learning rate at the start")
    lr_half: int = Field(300, ge=1, description="Steps after which the learning rate has fallen to 0.71 of its start (as 1/sqrt)")
    clip: float = Field(1.0, gt=0, description="Gradients are clipped to this norm; costs are in units of their mean")
    shrink: float = Field(
        0.5, ge=0, le=10, description="Weights shrink by this share of the learning rate a step in 2-D, and by less in more: times (2/d)²"
    )
    ema: float = Field(0.998, ge=0, lt=1, description="Decay of the moving average that is shown and evaluated; 0 is none")

    def init(self, problem: Problem, rng: torch.Generator, device: torch.device) -> GapState:
        cost = self.calibrated_cost(problem)
        penalty = self.penalty_at(cost.scale)
        self.check_feasible(problem, penalty)
        T = TransportMap(Standard.of_problem(problem), problem.d, self.width, self.depth, rng, activation=self.activation).to(device)
        shrink = self.shrink * min(1.0, 2 / problem.d) ** 2  # few points are learned by heart; in many dimensions maps would stay short
        return self.warm(GapState(problem, device, rng, cost, penalty, T, ema_copy(T), adam(T, self.lr, shrink=shrink)))

    def draw(self, state: GapState) -> tuple[Batch, dict[str, Tensor]]:
        """A batch of both sides, and losses to report; `rebalance` stands in for it."""
        return Batch.plain(state.batch(0, self.batch_size), state.batch(1, self.batch_size)), {}

    def step(self, state: GapState) -> dict[str, Tensor]:
        set_lr(state.T_optimiser, decayed(self.lr, state.step, self.lr_half))
        batch, extra = self.draw(state)
        Tx = state.T(batch.x)
        fit, gap = self.terms(state, batch, Tx)
        held = self.kept(gap, Tx, batch.a)
        descend(fit + self.gap_weight_at(state.step) * held, state.T, state.T_optimiser, clip=self.clip)
        state.step += 1
        ema_update(state.T_ema, state.T, self.ema, state.step)
        return {"fitting loss": fit.detach(), "Monge gap": gap.detach(), **extra}

    def terms(self, state: GapState, batch: Batch, Tx: Tensor) -> tuple[Tensor, Tensor]:
        """The fitting loss and the Monge gap of images Tx (n, d) of a batch."""
        fit, eps = self.fit(state, Batch(Tx, batch.y, batch.a, batch.b)), self.eps_at(self.eps_gap, Tx)
        c = state.cost(batch.x, Tx)
        if self.gap_pairs == "own":
            C = state.cost.matrix(batch.x, Tx)
            return fit, monge_gap_loss(c, C, self.held_plan(C, batch.a, batch.a, eps), batch.a, eps)
        first, second = Batch(Tx, batch.x, batch.a, batch.a).halves()
        crossed = (Batch(first.x, second.y, first.a, second.b), Batch(second.x, first.y, second.a, first.b))
        with torch.no_grad():  # the source's own term, which no map changes
            C = state.cost.matrix(first.y, second.y)
            own = (self.held_plan(C, first.b, second.b, eps) * C).sum() / 2
        return fit, sampled_gap_loss(c, batch.a, self.divergence(state, *crossed, eps) - own)

    def kept(self, gap: Tensor, Tx: Tensor, a: Tensor) -> Tensor:
        """What stands for the gap in the loss: with "moments", a term with its gradient on images Tx (n, d) less what moves their moments.

        In more dimensions than a quarter of the batch's points, whose covariance then says little, the gap itself.
        """
        if self.gap_keeps == "nothing" or 4 * Tx.shape[1] > len(Tx):
            return gap
        (grad,) = torch.autograd.grad(gap, Tx)
        share = a[:, None]  # a gradient is the displacement of an image times its share
        return (share * swaps(grad / share.clamp(min=torch.finfo(a.dtype).tiny), Tx.detach(), a) * Tx).sum()

    def fit(self, state: GapState, images: Batch) -> Tensor:
        """The fitting loss of images and target points."""
        return self.divergence(state, *images.halves(), self.eps_at(self.eps_fit, images.x))

    def divergence(self, state: GapState, first: Batch, second: Batch, eps: float) -> Tensor:
        """S(x, y), its self-term between two halves: a point's own copy, at distance 0, would take all of its mass."""
        C_self = state.cost.matrix(first.x, second.x)
        P_self = self.held_plan(C_self, first.a, second.a, eps)
        losses = []
        for half in (first, second):
            C = state.cost.matrix(half.x, half.y)
            losses.append(fitting_loss(C, C_self, self.held_plan(C, half.a, half.b, eps), P_self))
        return (losses[0] + losses[1]) / 2

    def gap_weight_at(self, step: int) -> float:
        return self.gap_weight / (1 + step / self.gap_half) if self.gap_half else self.gap_weight

    def eps_at(self, eps: float, x: Tensor) -> float:
        """A temperature, or the one for the dimension of x (n, d) where it is 0: few points lie far apart in many dimensions."""
        return eps or min(EPS_A_DIMENSION * x.shape[1], MOST_EPS)

    @torch.no_grad()
    def held_plan(self, C: Tensor, a: Tensor, b: Tensor, eps: float) -> Tensor:
        """The balanced entropic plan of a batch, rounded to its marginals, (n, m)."""
        C, a64, b64 = C.detach(), a.double(), b.double()
        work = torch.float64 if self.tol < 1e-5 else torch.float32
        found = solve(C, a64, b64 * (a64.sum() / b64.sum()), eps, HELD, self.tol, dtype=work)
        assert found.P is not None  # both marginals are held
        return found.P.to(C)

    def transport(self, state: GapState, x: Tensor) -> Tensor:
        return state.T_ema(x)
