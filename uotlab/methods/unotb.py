"""U-NOTB: a robust barycenter of K marginals, by congruent potentials and a map from each marginal to the barycenter.

    sup_{m, sum_k lam_k f_k = m} min_T  m - sum_k lam_k E[ (rho_k psi_k)*( f_k(T_k x) - c_k(x, T_k x) ) ]

Each T_k(x) tends to argmin_y c_k(x, y) - f_k(y); psi_k*'((f_k - c_k)/rho_k) says how much of x takes part, and its mean is 1 at the
optimum, for every k. T_k of the points that take part is the barycenter, the same for all k.

Notation: one factor 1/s is in all costs, s the mean over all pairs of marginals, so that lam keeps its meaning; the paper's tau on
c = |x-y|²/2 is rho = 2 tau / s. Of unequal masses the mean times a_k, mass over the barycenter's, is 1.
Differs from the paper: m / (K lam_k) where it prints m / lam_k; Algorithm 1's signs, both of which are wrong as printed (m would run
away, maps would flee the potential); the conjugate goes on as a line beyond a mass factor of 100. Differs from the authors' code: any
weights, one net for all g_k, one pass for the potential step and the first map step, T detached in the former, moving averages.
Differs from both: points of the batch are searched (`search.py`), without which a map stays in the valley where it began: a point x of
marginal k also tries the images of all marginals' points, and means of points drawn one from each. Any y bounds the c-transform from
one side, so that the optimum stays what it is. The constants of the averaged potentials are set by E psi_k*' = 1 (`_level`).
As there: search=False, potential_share=1, batch_size=1024, width=128, depth=2, activation="relu", ema=0.
Reference: gazdieva2025robust, Theorem 1, Algorithm 1; kolesov2024estimating for the balanced one.
"""

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from uotlab.costs import Cost, SquaredEuclidean, make_cost
from uotlab.divergences import DIVERGENCES, Balanced, Divergence, weighted_star, weighted_star_grad
from uotlab.errors import InputError
from uotlab.methods.base import CALIBRATION, METHODS, Method, State, calibration_batch
from uotlab.methods.marginals import MOST, further, weights_from_text
from uotlab.methods.search import Found, pull, searched
from uotlab.nets.barycenter_maps import barycenter_maps, noise_of
from uotlab.nets.congruent import CongruentPotentials
from uotlab.nets.mlp import Activation
from uotlab.nets.training import adam, decayed, descend, ema_copy, ema_update, set_grads, set_lr
from uotlab.penalty import Penalty, rho_from_tau
from uotlab.problem import BarycenterSpace, Problem
from uotlab.resampling import allotted, systematic

EVERY, LEVELLING = 2, 0.03  #: steps between two looks at how much takes part, and the share of the way to 1 gone at each
FAR = 100.0  #: times too much or too little, from which it goes all of the way


def barycenter_potential_loss(f: Tensor, c: Tensor, psis: list[Divergence], rhos: list[float], lam: Tensor, m: Tensor, a: Tensor) -> Tensor:
    """sum_k lam_k a_k E[(rho_k psi_k)*(f_k(T_k x) - c_k)] - m, minimised over f and m; f and c are (K, n).

    a_k is the marginal's mass relative to the barycenter's, in the paper 1.

    Reference: gazdieva2025robust, Algorithm 1, its L_f with the sign of m put right.
    """
    stars = [weighted_star(psi, rho, t).mean() for psi, rho, t in zip(psis, rhos, f - c, strict=True)]
    return (lam * a) @ torch.stack(stars) - m


def barycenter_map_loss(f: Tensor, c: Tensor, lam: Tensor) -> Tensor:
    """sum_k lam_k E[c_k(x, T_k x) - f_k(T_k x)], minimised over the maps; f and c are (K, n).

    Reference: gazdieva2025robust, Algorithm 1, its L_T with the sign put right.
    """
    return lam @ (c - f).mean(1)


@dataclass(eq=False)
class BarycenterState(State):
    """Maps to the barycenter, congruent potentials, their averages and optimisers; lam, rho, and masses a over the barycenter's, (K,)."""

    T: nn.ModuleList
    T_ema: nn.ModuleList
    f: CongruentPotentials
    f_ema: CongruentPotentials
    T_optimiser: torch.optim.Adam
    f_optimiser: torch.optim.Adam
    lam: Tensor
    rho: Tensor
    a: Tensor

    def cost_of(self, k: int) -> Cost:
        """c_k, with the factor that all costs share."""
        space = self.problem.space
        return self.cost if space is None else replace(space.costs[k], factor=self.cost.factor)


@METHODS.register("unotb")
class UNOTB(Method):
    """Unbalanced neural optimal transport barycenter."""

    title, family, order = "U-NOTB", "barycenter", 60
    summary = (
        "Learns a map from each of two to five marginals to their common barycenter, and who takes part in it. "
        "Outliers are left out and classes in unequal shares keep to their own kind."
    )
    equation = (
        r"\sup_{m,\;\sum_k\lambda_k f_k=m}\;\inf_{T}\;m-\sum_{k}\lambda_k\,\mathbb E_{x\sim P_k}\Big[(\rho_k\psi_k)^*"
        r"\big(f_k(T_kx)-c_k(x,T_kx)\big)\Big]"
    )
    reference = "gazdieva2025robust"
    convention = "divergence-weight"
    relaxed: ClassVar[tuple[bool, ...]] = (True,) * MOST
    default_steps: ClassVar[int] = 4000
    losses: ClassVar[tuple[Any, ...]] = (barycenter_potential_loss, barycenter_map_loss)

    weights: str = Field("", max_length=200, description="Weights lambda of the marginals, such as 0.5,0.3,0.2; empty is equal weights")
    divergence3: str | None = further("divergence")
    divergence4: str | None = further("divergence")
    divergence5: str | None = further("divergence")
    rho3: float | None = further("rho")
    rho4: float | None = further("rho")
    rho5: float | None = further("rho")
    tau3: float | None = further("tau")
    tau4: float | None = further("tau")
    tau5: float | None = further("tau")
    batch_size: int = Field(512, ge=2, le=65536, description="Points of each marginal in each step")
    width: int = Field(128, ge=4, le=2048, description="Units in each hidden layer")
    depth: int = Field(2, ge=1, le=12, description="Hidden layers")
    activation: Activation = Field("relu", description="Activation of hidden layers")
    noise: int | None = Field(
        None, ge=0, le=256,
        description="Dimensions of the noise z of stochastic maps T(x, z); 0 is deterministic; empty is 0, or 8 between different spaces",
    )  # fmt: skip
    map_steps: int = Field(3, ge=1, le=50, description="Map steps for each potential step")
    search: bool = Field(
        True, description="Look for each point's best image among those of the batch too, not only nearby; maps with noise do not look"
    )
    potential_share: float = Field(0.5, gt=0, le=100, description="Learning rate of the potentials as a share of that of the maps")
    lr: float = Field(2e-3, gt=0, le=1, description="Learning rate at the start")
    lr_half: int = Field(1000, ge=1, description="Steps after which the learning rate has fallen to 0.71 of its start (as 1/sqrt)")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first moment decay")
    beta2: float = Field(0.9, ge=0, lt=1, description="Adam's second moment decay")
    ema: float = Field(0.998, ge=0, lt=1, description="Decay of the moving average that is shown and evaluated; 0 is none")

    @field_validator("weights")
    @classmethod
    def _readable(cls, text: str) -> str:
        weights_from_text(text)
        return text

    # ---- weights and penalties of K marginals ----------------------------------------------------
    def psi(self, side: int) -> Divergence:
        return DIVERGENCES[getattr(self, f"divergence{side}") or self.divergence2]()

    def rhos(self, K: int, scale: float) -> list[float]:
        """rho_k in units of the mean cost; what marginals 3 to 5 leave open is marginal 2's."""
        found = []
        for side in range(1, K + 1):
            given = side if side <= 2 or getattr(self, f"rho{side}") or getattr(self, f"tau{side}") else 2
            tau = getattr(self, f"tau{given}")
            rho = getattr(self, f"rho{given}") if tau is None else rho_from_tau(self.convention, tau, scale)
            found.append(math.inf if isinstance(self.psi(side), Balanced) else rho)
        return found

    def lambdas(self, K: int) -> list[float]:
        """Weights of K marginals, on the simplex."""
        found = weights_from_text(self.weights) or [1 / K] * K
        if len(found) != K:
            raise InputError(
                f"weights of {self.name} are {len(found)} numbers, but there are {K} marginals: give {K}, or none for equal ones."
            )
        return found

    def relative_masses(self, problem: Problem, rhos: list[float]) -> Tensor:
        """Masses of the marginals over the barycenter's, (K,): it has that of the held ones, or else the weighted mean.

        Raises:
            InputError: held marginals of unequal mass.
        """
        masses = [m.mass for m in problem.marginals]
        held = [mass for mass, rho in zip(masses, rhos, strict=True) if math.isinf(rho)]
        if held and max(held) - min(held) > 1e-6 * max(held):
            shown = ", ".join(f"{m:g}" for m in held)
            raise InputError(
                f"{self.name} holds marginals whose masses differ ({shown}): give them weights of equal total, or a finite rho."
            )
        of_all = sum(lam * mass for lam, mass in zip(self.lambdas(len(masses)), masses, strict=True))
        return torch.tensor(masses) / (held[0] if held else of_all)

    def calibrated_cost(self, problem: Problem) -> Cost:
        """One cost for all marginals, divided by its mean over all pairs of them.

        Where each has a cost of its own it is the first of those, with the factor of all: 1 over their mean to points spread over the
        barycenter's space.

        Raises:
            InputError: another cost was asked for than the problem's own ones.
        """
        if problem.space is not None:
            return self._calibrated_costs(problem, problem.space)
        cost = problem.cost if self.cost is None and problem.cost is not None else make_cost(self.cost, self.cost_parameter)
        batches = [calibration_batch(m) for m in problem.marginals]
        pairs = [cost.calibrated(x, y, a, b) for (x, a), (y, b) in combinations(batches, 2)]
        scale = sum(c.scale for c in pairs) / len(pairs)
        self.check_scale(scale)
        return replace(pairs[0], factor=1 / scale)

    def _calibrated_costs(self, problem: Problem, space: BarycenterSpace) -> Cost:
        if self.cost is not None:
            raise InputError(f"cost does not apply to {problem.name}, where each marginal has a cost of its own; leave it out.")
        y = space.draw(CALIBRATION, torch.Generator().manual_seed(0))
        batches = [calibration_batch(m) for m in problem.marginals]
        scale = sum(c.calibrated(x, y, a).scale for c, (x, a) in zip(space.costs, batches, strict=True)) / len(batches)
        self.check_scale(scale)
        return replace(space.costs[0], factor=1 / scale)

    def settled(self, state: State) -> Penalty | None:
        """rho of the transport between two marginals whose plan gives their barycenter, or None where no plan of two does.

        For costs |x-y|² least over y of lam_1 c(x_1, y) + lam_2 c(x_2, y) is lam_1 lam_2 c(x_1, x_2), so that the barycenter's problem is
        lam_1 lam_2 (c + (rho_1/lam_2) D_1 + (rho_2/lam_1) D_2) with plans of mass 1. A held marginal gives them that mass whatever the
        other's divergence; for KL they are the optimal ones, normalised. The published reference keeps rho_2 as it is, and so answers
        another question.
        """
        problem = state.problem
        of_pairs = len(problem.marginals) == 2 and problem.space is None and isinstance(state.cost, SquaredEuclidean)
        rho, lam = state.rho.tolist(), state.lam.tolist()  # type: ignore[attr-defined]
        of_mass = math.inf in rho or all(self.psi(k).name == "kl" for k in (1, 2))
        if not of_pairs or not of_mass:
            return None
        return Penalty(rho[0] / lam[1], rho[1] / lam[0])

    # ---- training --------------------------------------------------------------------------------
    def init(self, problem: Problem, rng: torch.Generator, device: torch.device) -> BarycenterState:
        K = len(problem.marginals)
        if not 2 <= K <= MOST:
            raise InputError(f"{self.name} takes 2 to {MOST} marginals; this problem has {K}.")
        lam = torch.tensor(self.lambdas(K))
        cost = self.calibrated_cost(problem)
        rhos = self.rhos(K, cost.scale)
        masses = self.relative_masses(problem, rhos)
        noise = noise_of(problem, self.noise)
        standard, maps = barycenter_maps(problem, self.width, self.depth, rng, noise, self.activation)
        features = None if problem.space is None else problem.space.features
        T, d, free = maps.to(device), len(standard.centre), all(map(math.isfinite, rhos))
        f = CongruentPotentials(standard, lam, d, self.width, self.depth, rng, self.activation, free=free, features=features).to(device)
        betas = (self.beta1, self.beta2)
        return BarycenterState(
            problem, device, rng, cost, self.penalty_at(cost.scale), T, ema_copy(T), f, ema_copy(f), adam(T, self.lr, betas),
            adam(f, self.lr, betas), lam.to(device), torch.tensor(rhos), masses.to(device),
        )  # fmt: skip

    def step(self, state: BarycenterState) -> dict[str, Tensor]:
        K = len(state.lam)
        psis, rhos = [self.psi(k + 1) for k in range(K)], state.rho.tolist()
        lr = decayed(self.lr, state.step, self.lr_half)
        set_lr(state.T_optimiser, lr)
        set_lr(state.f_optimiser, lr * self.potential_share)
        search = self.search and not noise_of(state.problem, self.noise)  # a pull to one best image would end the spread of T(x, z)

        for inner in range(self.map_steps):
            if inner == 0 or not search:  # what was found is of one batch
                points = [state.batch(k, self.batch_size) for k in range(K)]
            images, c = self._images(state, points)
            values = [state.f(image) for image in images]
            f = torch.stack([value[:, k] for k, value in enumerate(values)])
            loss_T = barycenter_map_loss(f, c, state.lam)
            if inner == 0:  # one pass serves both players, who move at the same time
                gain = f - c.detach()
                if search:
                    gain, y, found = self._searched(state, points, images, values, gain)
                loss_f = barycenter_potential_loss(gain, torch.zeros_like(gain), psis, rhos, state.lam, state.f.m, state.a)
                set_grads(loss_f, state.f, keep_graph=True)
            if search:
                pulls = [pull(Tx, y, won, T.spread) for T, Tx, won in zip(state.T, images, found, strict=True)]  # type: ignore[arg-type]
                loss_T = loss_T + state.lam @ torch.stack(pulls)
            descend(loss_T, state.T, state.T_optimiser)
            if inner == 0:
                state.f_optimiser.step()
        state.step += 1
        ema_update(state.T_ema, state.T, self.ema, state.step)
        ema_update(state.f_ema, state.f, self.ema, state.step)
        if state.step % EVERY == 0:
            self._level(state, points)
        return {"potential loss": loss_f.detach(), "map loss": loss_T.detach()}

    def _images(self, state: BarycenterState, points: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Images of points of each marginal, K of (n, d): apart, they fit into the cache; and their costs (K, n)."""
        images, costs = [], []
        for k, (T, x) in enumerate(zip(state.T, points, strict=True)):
            Tx = T(x, self.draw_noise(state, len(x)))
            images.append(Tx)
            costs.append(state.cost_of(k)(x, Tx))
        return images, torch.stack(costs)

    def _searched(
        self, state: BarycenterState, points: list[Tensor], images: list[Tensor], values: list[Tensor], gain: Tensor
    ) -> tuple[Tensor, Tensor, list[Found]]:
        """max of f_k - c_k over T_k(x) and the candidates, (K, n); the candidates; and which of them won.

        They are the images of all marginals, whose potentials `values` (n, K) are known already; and within one space the weighted means
        of points drawn one from each marginal, which for |x-y|² is where those would meet.
        """
        tried, known = [image.detach() for image in images], list(values)
        if state.problem.space is None:
            tried.append(torch.stack([w * x for w, x in zip(state.lam, points, strict=True)]).sum(0))
            known.append(state.f(tried[-1]))
        y, f_y = torch.cat(tried), torch.cat(known)
        gains, found = [], []
        for k, x in enumerate(points):
            cost = state.cost_of(k)
            with torch.no_grad():
                _, (better, j) = searched(gain[k], cost.matrix(x, y), f_y[:, k])
                c = cost(x, y[j])
            gains.append(torch.where(better > 0, f_y[j, k] - c, gain[k]))
            found.append((better, j))
        return torch.stack(gains), y, found

    @torch.no_grad()
    def _level(self, state: BarycenterState, points: list[Tensor]) -> None:
        """Move the constants of the averaged potentials towards E psi_k*' = 1 for each relaxed k, where the dual is highest in them.

        Potentials that swing by a fraction of rho around their average have E psi*' = 1 themselves, but their average has less.
        """
        rho = state.rho.to(state.device)
        relaxed = rho.isfinite()
        if not relaxed.any():
            return
        taken = torch.stack([self.acceptance(state, k, x).mean() for k, x in enumerate(points)])
        near = (taken > 1 / FAR) & (taken < FAR)
        move = torch.where(near, LEVELLING * (1 - taken), -taken.clamp(1e-3, 1e3).log())  # for KL the latter is all of it
        shift = torch.where(relaxed, rho * move, 0.0)
        if not state.f.free:  # m = 0: the held ones, whose constants nothing else fixes, give what the others take
            held = state.lam * ~relaxed
            shift = torch.where(relaxed, shift, -(state.lam @ shift) / held.sum())
        state.f_ema.shift += shift

    # ---- what it learned -------------------------------------------------------------------------
    def barycenter_weights(self, state: BarycenterState) -> Tensor:
        return state.lam

    def barycenter_sides(self, state: BarycenterState) -> list[tuple[str, float, float]]:
        return [(self.psi(k).name, float(rho), float(a)) for k, (rho, a) in enumerate(zip(state.rho, state.a, strict=True), 1)]

    def barycenter_map(self, state: BarycenterState, k: int, x: Tensor, z: Tensor | None = None) -> Tensor:
        return state.T_ema[k](x, self.draw_noise(state, len(x), fixed=True) if z is None else z)  # type: ignore[no-any-return]

    def acceptance(self, state: BarycenterState, k: int, x: Tensor) -> Tensor:
        """a_k psi_k*'((f_k(T_k x) - c_k(x, T_k x)) / rho_k)."""
        Tx = self.barycenter_map(state, k, x)
        gap = state.f_ema(Tx)[:, k] - state.cost_of(k)(x, Tx)
        return state.a[k] * weighted_star_grad(self.psi(k + 1), float(state.rho[k]), gap)

    def congruence(self, state: BarycenterState, y: Tensor) -> Tensor:
        """sum_k lam_k f_k(y) - m, (n,): rounding alone."""
        return state.f_ema(y) @ state.lam - state.f_ema.m

    def sample_barycenter(self, state: BarycenterState, n: int) -> Tensor:
        """n points: each marginal gives its share lam_k of them, images of points taken by their weights."""
        found = []
        for k, share in enumerate(allotted(state.lam, n)):
            if share:
                x = state.batch(k, max(4 * share, 1000))
                rows = systematic(self.acceptance(state, k, x), share, state.rng)
                found.append(self.barycenter_map(state, k, x[rows]))
        return torch.cat(found)

    def transport(self, state: BarycenterState, x: Tensor, z: Tensor | None = None) -> Tensor:
        """T_1(x), from the first marginal to the barycenter."""
        return self.barycenter_map(state, 0, x, z)

    def scaling(self, state: BarycenterState, x: Tensor) -> Tensor:
        """By how much the mass of a point of the first marginal grows or shrinks."""
        return self.acceptance(state, 0, x) / state.a[0]

    @property
    def stochastic(self) -> bool:
        return bool(self.noise)

    def draw_noise(self, state: BarycenterState, n: int, *, fixed: bool = False) -> Tensor | None:
        """z ~ N(0, I), (n, noise); `fixed` draws the same numbers at each call for one seed of `state.rng`: pictures do not flicker."""
        noise = noise_of(state.problem, self.noise)
        if not noise:
            return None
        rng = torch.Generator().manual_seed(state.rng.initial_seed()) if fixed else state.rng
        return torch.randn(n, noise, generator=rng).to(state.device)
