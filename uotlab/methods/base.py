"""Method: a frozen model whose fields are its hyper-parameters; what changes while training is in its State.

One file in this package = one neural method. Abilities are runtime protocols (HasScaling, HasPath, ...), never
methods that raise. The one training loop is `uotlab.engine.loop`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from uotlab.costs import COSTS, Cost, make_cost
from uotlab.divergences import DIVERGENCES, Balanced, Divergence
from uotlab.errors import InputError
from uotlab.parameters import Settings
from uotlab.penalty import EPS, Convention, Penalty, rho_from_tau
from uotlab.problem import Measure, Problem
from uotlab.registry import Registry

METHODS: Registry = Registry("method", "uotlab.methods")
CALIBRATION = 2048  #: points a side of the fixed batch that measures the mean cost


@dataclass(eq=False)
class State:
    """All that changes while training, and the constants measured at its start. Subclasses add nets and optimisers."""

    problem: Problem
    device: torch.device
    rng: torch.Generator
    cost: Cost
    penalty: Penalty
    step: int = field(default=0, init=False)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain numbers only, so that `torch.load(weights_only=True)` reads it back."""
        parts: dict[str, Any] = {"step": self.step, "rng": self.rng.get_state(), "penalty": [self.penalty.rho1, self.penalty.rho2]}
        parts["cost"] = {f.name: v for f in fields(self.cost) if isinstance(v := getattr(self.cost, f.name), float)}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, nn.Module | torch.optim.Optimizer | torch.optim.lr_scheduler.LRScheduler):
                parts[f.name] = value.state_dict()
            elif isinstance(value, Tensor):
                parts[f.name] = value
        return parts

    def load_state_dict(self, parts: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        self.step = int(parts["step"])
        self.rng.set_state(parts["rng"].cpu())
        self.penalty = Penalty(*parts["penalty"])
        self.cost = replace(self.cost, **parts["cost"])
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, nn.Module | torch.optim.Optimizer | torch.optim.lr_scheduler.LRScheduler):
                value.load_state_dict(parts[f.name])
            elif isinstance(value, Tensor):
                setattr(self, f.name, parts[f.name].to(self.device))

    def parameters(self) -> list[tuple[str, Tensor]]:
        """Named parameters of every net, for the NaN guard."""
        nets = [(f.name, getattr(self, f.name)) for f in fields(self) if isinstance(getattr(self, f.name), nn.Module)]
        return [(f"{name}.{p}", value) for name, net in nets for p, value in net.named_parameters()]

    def batch(self, side: int, n: int) -> Tensor:
        """n training points of marginal `side` on the run's device, (n, d)."""
        return self.problem.marginals[side].sample(n, self.rng).to(self.device)


def calibration_batch(measure: Measure) -> tuple[Tensor, Tensor | None]:
    """Points and weights: all of them where they are few, else a fixed draw by weight."""
    if measure.n > CALIBRATION:
        return measure.sample(CALIBRATION, torch.Generator().manual_seed(0)), None
    weights = None if measure.weights is None else torch.from_numpy(np.asarray(measure.weights, dtype=np.float64))
    return measure.take(torch.arange(measure.n)), weights


class Method(Settings, ABC):
    """Fields shared by all: cost, divergences and their weights, batch size.

    `rho1`, `rho2` are in mean-cost units. `tau1`, `tau2` (or `tau` for both) say the same in the convention of the
    method's paper (`convention`) on its unscaled cost; give one or the other. `divergence` sets both sides, `rho` too.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    family: ClassVar[str]  #: "semi-dual", "flow", ...
    summary: ClassVar[str]  #: two sentences for the card: what it learns, when to use it
    equation: ClassVar[str]  #: its objective in LaTeX
    reference: ClassVar[str]  #: key in assets/references.bib
    convention: ClassVar[Convention]
    relaxed: ClassVar[tuple[bool, ...]] = (True, True)  #: which marginals the method may relax: two, or as many as it takes
    default_steps: ClassVar[int]
    losses: ClassVar[tuple[Any, ...]] = ()  #: the pure loss functions, whose source the card shows
    order: ClassVar[int] = 100
    #: fields, and "steps", with which it settles where the target is held and the source relaxed, as growth of cells asks for
    held_target: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    divergence1: str = Field("kl", description="Divergence of the source marginal")
    divergence2: str = Field("kl", description="Divergence of the target marginal")
    rho1: float = Field(10.0, gt=0, description="Weight of the source divergence in units of the mean cost; infinity is balanced")
    rho2: float = Field(10.0, gt=0, description="Weight of the target divergence in units of the mean cost; infinity is balanced")
    tau1: float | None = Field(None, ge=0, description="Source τ in the convention of the method's paper, instead of rho1")
    tau2: float | None = Field(None, ge=0, description="Target τ in the convention of the method's paper, instead of rho2")
    cost: str | None = Field(None, description="Ground cost; empty means the problem's own, squared Euclidean")
    cost_parameter: float | None = Field(None, gt=0, allow_inf_nan=False, description="Exponent p of `power`, length of `wfr`")
    batch_size: int = Field(256, ge=2, le=65536, description="Points a side in each step")

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, values: Any) -> Any:
        """`tau`, `rho`, `divergence` stand for both sides, where they are relaxed; rho and tau of one side exclude each other."""
        if not isinstance(values, dict):
            return values
        values, sides = dict(values), range(1, len(cls.relaxed) + 1)
        for short in ("tau", "rho", "divergence"):
            given = values.pop(short, None)
            if given is not None:
                if not any(cls.relaxed):
                    raise InputError(
                        f"{cls.name} keeps both marginals exactly, so {short} does not apply; leave it out or choose its unbalanced twin."
                    )
                for side in (1, 2):  # further marginals are as the second where nothing else is said
                    if cls.relaxed[side - 1]:
                        if f"{short}{side}" in values and values[f"{short}{side}"] != given:
                            raise InputError(f"Give {short} or {short}{side}, not both.")
                        values[f"{short}{side}"] = given
        for side in sides:
            if values.get(f"tau{side}") is not None and values.get(f"rho{side}") is not None:
                raise InputError(f"Give rho{side} or tau{side}, not both: they are the same quantity in two units.")
            if not cls.relaxed[side - 1]:
                for field_name in (f"tau{side}", f"rho{side}"):
                    if values.get(field_name) is not None and not _is_infinite(values[field_name]):
                        raise InputError(f"{cls.name} keeps marginal {side} exactly, so {field_name} does not apply; leave it out.")
            name = values.get(f"divergence{side}")
            if name is not None:
                values[f"divergence{side}"] = DIVERGENCES[name].name
        if values.get("cost") is not None:
            values["cost"] = COSTS[values["cost"]].name
        return values

    @model_validator(mode="after")
    def _check_sides(self) -> "Method":
        for side, relaxed in enumerate(self.relaxed, 1):
            if not relaxed:
                # a held marginal is the same as the balanced divergence with infinite weight
                self.__dict__[f"divergence{side}"] = "balanced"
                self.__dict__[f"rho{side}"] = math.inf
        if self.convention == "sinkhorn":
            for side in (1, 2):
                tau = getattr(self, f"tau{side}")
                if tau is not None and not 0 < tau <= 1:
                    raise InputError(
                        f"tau{side} of {self.name} is the Sinkhorn exponent λ/(λ+eps) and must lie in (0, 1]; it is {tau:g}. 1 is balanced."
                    )
        make_cost(self.cost, self.cost_parameter)  # its own rules, such as p of `power`
        if self.convention == "cost-weight" and math.inf in (self.tau1, self.tau2):
            raise InputError(f"tau of {self.name} multiplies the cost and must be finite; 0 is balanced.")
        return self

    def settings(self) -> dict[str, Any]:
        """All hyper-parameters, those left at their defaults too, which another version may change; they make the same method again."""
        values = {k: v for k, v in self.model_dump().items() if v is not None}
        for side, relaxed in enumerate(self.relaxed, 1):
            # what the method itself holds has no settings, and of rho and tau the latter was given
            gone = ("rho", "tau", "divergence") if not relaxed else ("rho",) if f"tau{side}" in values else ()
            for kind in gone:
                values.pop(f"{kind}{side}", None)
        return values

    # ---- what the engine calls -------------------------------------------------------------------
    @abstractmethod
    def init(self, problem: Problem, rng: torch.Generator, device: torch.device) -> State:
        """Nets, optimisers, calibrated cost and penalty for a problem."""

    @abstractmethod
    def step(self, state: State) -> dict[str, Tensor]:
        """One training step; returns its losses as detached 0-dim tensors."""

    @abstractmethod
    def transport(self, state: State, x: Tensor) -> Tensor:
        """T(x), (n, d) -> (n, d)."""

    # ---- shared pieces ---------------------------------------------------------------------------
    @property
    def temperature(self) -> float:
        """eps at which a Sinkhorn τ converts, in mean-cost units."""
        return getattr(self, "eps", EPS)

    def points(self, step: int) -> int:
        """Points a side in the batch of a step."""
        return self.batch_size

    def psi(self, side: int) -> Divergence:
        """The divergence of marginal 1 or 2."""
        return DIVERGENCES[getattr(self, f"divergence{side}")]()

    def penalty_at(self, scale: float) -> Penalty:
        """rho1, rho2 once the mean cost `scale` of the unscaled cost is known."""
        rho = []
        for side in (1, 2):
            tau = getattr(self, f"tau{side}")
            value = getattr(self, f"rho{side}") if tau is None else rho_from_tau(self.convention, tau, scale, self.temperature)
            rho.append(math.inf if isinstance(self.psi(side), Balanced) else value)
        return Penalty(*rho)

    def settled(self, state: State) -> Penalty | None:
        """rho1, rho2 of the problem that training ends at, by whose optimum the run is scored; None where no discrete solver knows it."""
        return state.penalty

    def calibrated_cost(self, problem: Problem) -> Cost:
        """The run's cost, divided by its mean: exactly, or over a fixed seeded batch where there are many points.

        Raises:
            InputError: marginals on spaces of their own, between which no map leads.
        """
        if problem.space is not None:
            raise InputError(
                f"The marginals of {problem.name} live on different spaces, so that {self.name} cannot map one to another: "
                "choose a method that learns a barycenter, unotb or notb."
            )
        cost = problem.cost if self.cost is None and problem.cost is not None else make_cost(self.cost, self.cost_parameter)
        (x, a), (y, b) = (calibration_batch(m) for m in problem.marginals[:2])
        calibrated = cost.calibrated(x, y, a, b)
        self.check_scale(calibrated.scale)
        return calibrated

    def check_scale(self, scale: float) -> None:
        """Raises InputError where float32 networks cannot hold the numbers."""
        if not 1e-30 < scale < 1e30:
            raise InputError(
                f"The mean cost between source and target is {scale:g}, beyond what float32 networks can be trained on. "
                "Rescale both by the same factor, such as their standard deviation."
            )

    def check_feasible(self, problem: Problem, penalty: Penalty) -> None:
        """Raises InputError where both marginals are held but their masses differ."""
        a, b = (m.mass for m in problem.marginals[:2])
        if penalty.balanced and abs(a - b) > 1e-6 * max(a, b):
            raise InputError(
                f"Both marginals are held but their masses differ ({a:g} and {b:g}): no plan exists. "
                "Give at least one side a finite rho, or weights of equal total."
            )


def _is_infinite(value: Any) -> bool:
    try:
        return math.isinf(float(value))
    except (TypeError, ValueError):
        return False


@runtime_checkable
class HasScaling(Protocol):
    """How much the mass of a source point grows or shrinks."""

    def scaling(self, state: Any, x: Tensor) -> Tensor:
        """xi = d pi_1/d mu at x, (n, d) -> (n,), not normalised: its mean is the plan's mass / source mass."""


@runtime_checkable
class HasTargetScaling(Protocol):
    """How much of the mass of a target point is matched."""

    def target_scaling(self, state: Any, y: Tensor) -> Tensor:
        """d pi_2/d nu at y, (m, d) -> (m,)."""


@runtime_checkable
class HasPotential(Protocol):
    """The dual potential on the target."""

    def potential(self, state: Any, y: Tensor) -> Tensor:
        """The potential g on the target in calibrated cost units, (m, d) -> (m,)."""


@runtime_checkable
class HasPlan(Protocol):
    """A coupling of given points."""

    def plan(self, state: Any, x: Tensor, y: Tensor) -> Any:
        """A Plan between given points."""


@runtime_checkable
class HasPath(Protocol):
    """Trajectories from x to T(x)."""

    def path(self, state: Any, x: Tensor, ts: Tensor) -> Tensor:
        """Positions at times ts in [0, 1], (n, d), (t,) -> (n, t, d)."""


@runtime_checkable
class HasStochasticMap(Protocol):
    """A map T(x, z) with noise z: one point has many images."""

    stochastic: bool

    def transport(self, state: Any, x: Tensor, z: Tensor | None = None) -> Tensor:
        """T(x, z); z drawn when None."""


@runtime_checkable
class HasPreview(Protocol):
    """Methods whose map takes many evaluations."""

    def preview(self, state: Any, x: Tensor) -> Tensor:
        """A cheaper, rougher T(x) for moving pictures, where T itself costs many evaluations; (n, d) -> (n, d)."""


@runtime_checkable
class HasJoint(Protocol):
    """A coupling that points can be drawn from, of two marginals or more."""

    def sample_pairs(self, state: Any, n: int) -> tuple[Tensor, ...]:
        """n matches, by `state.rng`: for each marginal its points (n, d), matched row by row."""


@runtime_checkable
class HasJointDensity(Protocol):
    """A coupling with a density."""

    def log_density(self, state: Any, points: Sequence[Tensor]) -> Tensor:
        """Log of the joint density at matched points, one (n, d) for each marginal -> (n,)."""


@runtime_checkable
class HasBarycenter(Protocol):
    """A barycenter of all marginals, k = 0, 1, ..., and how each goes to it."""

    def barycenter_weights(self, state: Any) -> Tensor:
        """lambda on the simplex, (K,)."""

    def barycenter_sides(self, state: Any) -> list[tuple[str, float, float]]:
        """For each marginal its divergence, rho in units of the mean cost, and its mass over the barycenter's."""

    def barycenter_map(self, state: Any, k: int, x: Tensor) -> Tensor:
        """T_k(x), from marginal k to the barycenter, (n, d) -> (n, d)."""

    def acceptance(self, state: Any, k: int, x: Tensor) -> Tensor:
        """How much of a point of marginal k takes part, (n, d) -> (n,): its mean is 1 once trained, and no weight is bounded by 1."""

    def congruence(self, state: Any, y: Tensor) -> Tensor:
        """How far the potentials' weighted sum is from the constant that it should be, (n, d) -> (n,), in units of the mean cost."""

    def sample_barycenter(self, state: Any, n: int) -> Tensor:
        """n points of the learned barycenter, by `state.rng`, (n, d)."""
