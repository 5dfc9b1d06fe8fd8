"""Arrays of a coupling that points can be drawn from: matches, and on a line the joint density of source and target on a grid."""

import numpy as np
import torch

from uotlab.methods.base import HasJoint, HasJointDensity, Method, State
from uotlab.problem import Problem

MATCHES, GRID = 2000, 80  #: generated matches, and grid points a side of the density
ROOM = 0.15  #: of the data's range, beyond both ends


def joint_arrays(method: Method, state: State, problem: Problem) -> dict[str, np.ndarray]:
    """`pairs` (k, m, d); with a density of two marginals on a line also `joint` (g, g), `joint_x` (g,), `joint_y` (g,)."""
    if not isinstance(method, HasJoint):
        return {}
    parts = [p.cpu().numpy() for p in method.sample_pairs(state, MATCHES)]
    arrays = {"pairs": np.ascontiguousarray(np.stack(parts, 1), np.float32)}
    if isinstance(method, HasJointDensity) and problem.d == 1 and len(problem.marginals) == 2:
        x, y = (_grid(part[:, 0]) for part in parts)
        X, Y = (torch.from_numpy(v.reshape(-1, 1)).to(state.device) for v in np.meshgrid(x, y, indexing="ij"))
        joint = method.log_density(state, [X, Y]).exp().cpu().numpy().reshape(GRID, GRID)
        arrays |= {"joint": np.ascontiguousarray(joint, np.float32), "joint_x": x, "joint_y": y}
    return arrays


def _grid(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    room = ROOM * (high - low)
    return np.linspace(low - room, high + room, GRID, dtype=np.float32)
