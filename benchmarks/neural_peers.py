"""Training steps of the peers, each by its own code: torchcfm, and ott-jax's flow matching, Monge gap and neural dual.

Every function returns (step, wait, parameters): one training step, what ends the work still under way (jax runs behind), and the size of
the nets that are trained. Data are two arrays in memory, of which each step takes `batch` rows. Adam has optax's or torch's defaults.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

Steps = tuple[Callable[[], object], Callable[[], object], int]


def torchcfm_flow(x: torch.Tensor, y: torch.Tensor, batch: int, width: int, pairs: str, eps: float = 0.05, rho: float = 1.0) -> Steps:
    """As torchcfm's notebooks train: its matcher or plan sampler ("exact", "sinkhorn", "unbalanced"), its own MLP, torch's Adam."""
    from torchcfm.conditional_flow_matching import ConditionalFlowMatcher, ExactOptimalTransportConditionalFlowMatcher
    from torchcfm.models import MLP
    from torchcfm.optimal_transport import OTPlanSampler

    net = MLP(dim=x.shape[1], w=width, time_varying=True)
    optimiser = torch.optim.Adam(net.parameters())
    matcher = ExactOptimalTransportConditionalFlowMatcher(sigma=0.0) if pairs == "exact" else ConditionalFlowMatcher(sigma=0.0)
    sampler = None if pairs == "exact" else OTPlanSampler(pairs, reg=eps, reg_m=rho)

    def step() -> None:
        optimiser.zero_grad()
        x0, x1 = x[torch.randint(len(x), (batch,))], y[torch.randint(len(y), (batch,))]
        if sampler is not None:
            x0, x1 = sampler.sample_plan(x0, x1)
        t, x_t, u_t = matcher.sample_location_and_conditional_flow(x0, x1)
        v_t = net(torch.cat([x_t, t[:, None]], dim=-1))
        torch.mean((v_t - u_t) ** 2).backward()
        optimiser.step()

    return step, lambda: None, sum(p.numel() for p in net.parameters())


def batches(x: np.ndarray, batch: int, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    while True:
        yield x[rng.integers(0, len(x), batch)]


def size(tree: Any) -> int:
    import jax

    return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(tree))


def ott_flow(x: np.ndarray, y: np.ndarray, batch: int, width: int, depth: int, eps: float, threshold: float) -> Steps:
    """ott's dataloader that pairs by Sinkhorn, its velocity net with four frequencies, its step and its EMA; compiled as one function."""
    import jax
    import optax
    from flax import nnx
    from ott.neural.data.ot_dataloader import LinearOTDataloader
    from ott.neural.methods import flow_matching
    from ott.neural.networks.velocity_field import ema, mlp

    model = mlp.MLP(x.shape[1], hidden_dims=[width] * depth, time_enc_num_freqs=4, rngs=nnx.Rngs(0))
    parts = (model, nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param), ema.EMA(model, decay=0.995))
    graph, state = nnx.split(parts)
    pairs = iter(LinearOTDataloader(jax.random.key(0), zip(batches(x, batch, 0), batches(y, batch, 1)), epsilon=eps, threshold=threshold))

    # splitting the modules by hand spares nnx.jit's own bookkeeping, which costs as much as the step
    @jax.jit
    def compiled(state: Any, key: Any, x0: Any, x1: Any) -> Any:
        key, drawn = jax.random.split(key)
        model, optimiser, average = nnx.merge(graph, state)
        batch = flow_matching.interpolate_samples(drawn, x0, x1)
        flow_matching.flow_matching_step(model, optimiser, batch, model_callback_fn=average)
        return nnx.state((model, optimiser, average)), key

    held = [state, jax.random.key(1)]

    def step() -> None:
        held[:] = compiled(*held, *next(pairs))

    return step, lambda: jax.block_until_ready(jax.tree.leaves(held[0])), size(nnx.state(model, nnx.Param))


def accelerations() -> dict[str, dict[str, Any]]:
    """Settings of ott's Sinkhorn among which its fastest is looked for."""
    from ott.solvers.linear import acceleration

    return {
        "plain": {},
        "momentum": {"momentum": acceleration.Momentum(start=20)},
        "Anderson": {"anderson": acceleration.AndersonAcceleration(memory=5)},
    }


def ott_gap(
    x: np.ndarray, y: np.ndarray, batch: int, width: int, depth: int, eps: float, threshold: float, how: str, weight: float
) -> tuple[Steps, Callable[[], dict[str, float]]]:
    """MongeGapEstimator with the Sinkhorn divergence (less its constant part) and the Monge gap; and its plans' errors."""
    import jax
    import optax
    from flax import linen
    from ott.geometry import pointcloud
    from ott.neural.methods import monge_gap
    from ott.neural.networks import potentials
    from ott.solvers import linear
    from ott.tools import sinkhorn_divergence

    solver = {"threshold": threshold, **accelerations()[how]}

    def gap(source: Any, target: Any) -> Any:
        return monge_gap.monge_gap_from_samples(source, target, epsilon=eps, **solver), None

    def fit(images: Any, target: Any) -> Any:
        return sinkhorn_divergence.sinkdiv(images, target, epsilon=eps, static_b=True, solve_kwargs=solver)[0], None

    net = potentials.PotentialMLP(dim_hidden=[width] * depth, is_potential=False, act_fn=linen.silu)
    made = monge_gap.MongeGapEstimator(x.shape[1], net, optax.adam(5e-3), fit, gap, weight, num_train_iters=100_000, rng=jax.random.key(0))
    xs, ys, done = batches(x, batch, 0), batches(y, batch, 1), [0]

    def step() -> None:
        batch = {"source": next(xs), "target": next(ys)}
        made.state_neural_net, _ = made.step_fn(made.state_neural_net, batch, None, False, done[0])
        done[0] += 1

    def errors() -> dict[str, float]:
        """L1 errors of the marginals of the two plans of a batch, relative to the mass."""
        source = next(xs)
        images = made.state_neural_net.apply_fn({"params": made.state_neural_net.params}, source)
        found = {}
        for name, (u, v) in {"gap": (source, images), "fit": (images, next(ys))}.items():
            P = np.asarray(linear.solve(pointcloud.PointCloud(u, v, epsilon=eps), **solver).matrix, dtype=np.float64)
            found[name] = float(max(np.abs(P.sum(k) - 1 / batch).sum() for k in (0, 1)))
        return found

    return (step, lambda: jax.block_until_ready(made.state_neural_net.params), size(made.state_neural_net.params)), errors


def ott_dual(x: np.ndarray, y: np.ndarray, batch: int, width: int, depth: int, inner: int, equal_net: bool, conjugate: bool) -> Steps:
    """W2NeuralDual as Makkuva and others train (`conjugate`: as ott does by default), with ott's ICNN or with one equal to ours."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import linen
    from ott.neural.methods import neuraldual
    from ott.neural.networks import icnn, potentials
    from ott.neural.networks.layers import posdef

    class Equal(potentials.BasePotential):
        """The architecture of uotlab's ICNN: (A0 x + b0)², softplus layers with positive weights, a linear and a quadratic term."""

        pos_weights: bool = True

        @property
        def is_potential(self) -> bool:
            return True

        @linen.compact
        def __call__(self, x: Any) -> Any:
            squeeze = x.ndim == 1
            x = x[None] if squeeze else x
            z = linen.Dense(width)(x) ** 2
            for _ in range(depth - 1):
                z = linen.softplus(linen.Dense(width)(x) + posdef.PositiveDense(width, use_bias=False)(z))
            f = posdef.PositiveDense(1, use_bias=False)(z) + linen.Dense(1, use_bias=False)(x)
            f = (f + 0.5 * jnp.sum(linen.Dense(x.shape[1], use_bias=False)(x) ** 2, 1, keepdims=True)).squeeze(-1)
            return f.squeeze(0) if squeeze else f

    nets = [Equal() if equal_net else icnn.ICNN(dim_data=x.shape[1], dim_hidden=[width] * depth, pos_weights=True) for _ in range(2)]
    optimisers = [optax.adam(1e-3, 0.5, 0.9) for _ in range(2)]
    how: dict[str, Any] = {} if conjugate else {"conjugate_solver": None, "amortization_loss": "objective"}
    made = neuraldual.W2NeuralDual(
        x.shape[1], *nets, *optimisers, num_inner_iters=inner, parallel_updates=inner == 1, rng=jax.random.key(0), **how
    )
    xs, ys = batches(x, batch, 0), batches(y, batch, 1)

    def drawn() -> dict[str, Any]:
        return {"source": jnp.asarray(next(xs)), "target": jnp.asarray(next(ys))}

    def step() -> None:
        if inner == 1:
            made.state_f, made.state_g, *_ = made.train_step_parallel(made.state_f, made.state_g, drawn())
            return
        for _ in range(inner):
            made.state_g, *_ = made.train_step_g(made.state_f, made.state_g, drawn())
        made.state_f, *_ = made.train_step_f(made.state_f, made.state_g, drawn())

    return step, lambda: jax.block_until_ready((made.state_f.params, made.state_g.params)), size((made.state_f.params, made.state_g.params))
