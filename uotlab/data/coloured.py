"""The generator of coloured digits: trained the first time, kept in the store by the hash of what it was made from, and looked over."""

import hashlib
import threading
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from uotlab.data.npz import read_arrays
from uotlab.data.progress import report
from uotlab.data.spaces import cache_dir
from uotlab.data.upload import pack_arrays, write_atomically
from uotlab.errors import InputError
from uotlab.nets.coloured_vae import ColouredVAE, hues, train_coloured_vae

HIDDEN, VERSION = 256, 4
SAMPLES, NEIGHBOURS = 300, 5  #: of the check by nearest images
LEAST_EXPLAINED, LEAST_ALIKE = 0.5, 0.7

_held: dict[str, "Checked"] = {}
_training = threading.Lock()  #: a second run of the same data waits for the first one's generator


class Checked(NamedTuple):
    """A generator; the share of the variance of new images that it explains; the share of its samples whose neighbours are its digits."""

    net: ColouredVAE
    explained: float
    alike: float


def generator(images: np.ndarray, held: np.ndarray, others: np.ndarray, code: int, steps: int) -> Checked:
    """A generator of grey images (n, h, w) uint8 in all hues.

    Args:
        held: images of the same kind (m, h, w) that it does not see, for the check.
        others: images of other kinds (j, h, w), among which its samples must not fall.
        code: length of the code.
        steps: of training.

    Raises:
        InputError: it came out poor.
    """
    parts = b"".join(np.ascontiguousarray(part).tobytes() for part in (images, held, others))
    key = hashlib.sha256(parts + f"{images.shape} {held.shape} {code} {steps} {HIDDEN} {VERSION}".encode()).hexdigest()
    with _training:
        found = _held.get(key)
        if found is None:
            while len(_held) >= 2:
                _held.pop(next(iter(_held)))
            found = _held[key] = _made(key, _ink(images), _ink(held), _ink(others), code, steps)
    if found.explained < LEAST_EXPLAINED or found.alike < LEAST_ALIKE:
        raise InputError(
            f"The generator of coloured digits came out poor: it explains {found.explained:.0%} of the variance of new images (at least "
            f"{LEAST_EXPLAINED:.0%} is needed) and {found.alike:.0%} of its samples look like its digits (at least {LEAST_ALIKE:.0%}); "
            "raise generator_steps."
        )
    return found


def _made(key: str, ink: Tensor, held: Tensor, others: Tensor, code: int, steps: int) -> Checked:
    path, rng = cache_dir() / f"coloured-{key[:32]}.npz", torch.Generator().manual_seed(0)
    if path.is_file():
        arrays = {k: torch.from_numpy(v) for k, v in read_arrays(path.read_bytes(), path.name).items()}
        explained, alike = arrays.pop("quality").tolist()
        net = ColouredVAE(ink.shape[1], code, HIDDEN, rng).eval().requires_grad_(False)
        net.load_state_dict(arrays)
        return Checked(net, explained, alike)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small nets: more threads wait for each other, and other numbers come out
    try:
        with torch.enable_grad():
            net = train_coloured_vae(ink, code, rng, steps, partial(report, "Training the generator of coloured digits"), hidden=HIDDEN)
    finally:
        torch.set_num_threads(threads)
    explained, alike = _explained(net, held), _alike(net, ink, others)
    weights = {k: v.numpy() for k, v in net.state_dict().items()}
    write_atomically(path, pack_arrays(weights | {"quality": np.array([explained, alike])}))
    return Checked(net, explained, alike)


def _ink(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images.reshape(len(images), -1).astype(np.float32) / 255)


def _explained(net: ColouredVAE, held: Tensor) -> float:
    """1 - squared error / variance of images that were not seen, as the encoder's mean gives them back."""
    colour = hues(len(held), torch.Generator().manual_seed(1))
    again = net.ink(net.inside(net.encode(held[..., None] * colour[:, None])[0]))
    return 1 - float((again - held).square().sum() / (held - held.mean(0)).square().sum())


def _alike(net: ColouredVAE, own: Tensor, others: Tensor) -> float:
    """Share of samples most of whose nearest images are of the generator's own kind; there are as many of the other kinds as there are."""
    samples = net.ink(net.inside(torch.randn(SAMPLES, net.code, generator=torch.Generator().manual_seed(2))))
    near = torch.cdist(samples, torch.cat([own, others])).topk(NEIGHBOURS, largest=False).indices
    return float(((near < len(own)).sum(1) > NEIGHBOURS / 2).float().mean())
