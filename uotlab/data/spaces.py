"""Spaces in which digits are moved: pixels, principal components, an autoencoder's codes, or the coordinates of a
neighbour graph; each decodes back to images."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from uotlab.data.npz import read_arrays
from uotlab.data.upload import pack_arrays, write_atomically
from uotlab.errors import InputError
from uotlab.paths import store_dir

SpaceName = Literal["pca", "pixels", "autoencoder", "spectral"]
FIT_ON = 10_000  #: images that a space is fitted on at most, evenly taken
CHUNK = 8192


class Space(NamedTuple):
    """`encode`: images (n, h, w) uint8 -> points (n, d) float32; `decode`: points -> images (n, h, w) float32 in [0, 1]."""

    encode: Callable[[np.ndarray], np.ndarray]
    decode: Callable[[np.ndarray], np.ndarray]
    names: tuple[str, ...]


_held: dict[str, Space] = {}  # the spaces fitted last, so that a page does not fit again at every click


def fit_space(images: np.ndarray, space: SpaceName, components: int) -> Space:
    """A space for images (n, h, w) uint8; equal images give an equal space.

    All spaces are divided by one number for all coordinates, so that distances keep their proportions and
    coordinates have a variance of 1 on average.
    """
    images = images[:: max(1, len(images) // FIT_ON)]
    key = hashlib.sha256(np.ascontiguousarray(images).tobytes() + f"{images.shape} {space} {components} 1".encode()).hexdigest()
    if key not in _held:
        while len(_held) >= 4:
            _held.pop(next(iter(_held)))
        size = images.shape[1:]
        made = {"pixels": _pixels, "pca": _pca, "autoencoder": _autoencoder, "spectral": _spectral}[space](_flat(images), components, key)
        _held[key] = Space(partial(_encode, made[0]), partial(_decode, made[1], size), made[2])
    return _held[key]


Fitted = tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray], tuple[str, ...]]


def _flat(images: np.ndarray) -> np.ndarray:
    """(n, h, w) uint8 -> (n, h·w) float32 in [0, 1]."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def _encode(encode: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    parts = [encode(_flat(images[i : i + CHUNK])) for i in range(0, len(images), CHUNK)]
    return np.concatenate(parts).astype(np.float32, copy=False)


def _decode(decode: Callable[[np.ndarray], np.ndarray], size: tuple[int, int], points: np.ndarray) -> np.ndarray:
    pixels = decode(np.asarray(points, dtype=np.float32))
    return pixels.clip(0, 1).astype(np.float32, copy=False).reshape(len(points), *size)


def _pixels(images: np.ndarray, components: int, key: str) -> Fitted:
    """Brightness stretched to [-1, 1]; `components` does not apply."""
    names = tuple(f"pixel {i}" for i in range(images.shape[1]))
    return lambda v: 2 * v - 1, lambda p: (p + 1) / 2, names


def _pca(images: np.ndarray, components: int, key: str) -> Fitted:
    from sklearn.decomposition import PCA

    model = PCA(min(components, *images.shape), svd_solver="covariance_eigh").fit(images)
    axes, mean = model.components_.astype(np.float32), model.mean_.astype(np.float32)
    scale = np.float32(np.sqrt(model.explained_variance_.mean()))
    names = tuple(f"PC {i + 1}" for i in range(len(axes)))
    return lambda v: (v - mean) @ (axes.T / scale), lambda p: p @ (axes * scale) + mean, names


def _autoencoder(images: np.ndarray, components: int, key: str) -> Fitted:
    """Trained for some seconds the first time; its weights are kept in the store under the images' hash."""
    import torch

    from uotlab.nets.autoencoder import Autoencoder, train_autoencoder

    rng, hidden = torch.Generator().manual_seed(0), 256
    path = cache_dir() / f"autoencoder-{key[:32]}.npz"
    if path.is_file():
        weights = {k: torch.from_numpy(v) for k, v in read_arrays(path.read_bytes(), path.name).items()}
        net = Autoencoder(images.shape[1], components, hidden, rng).eval().requires_grad_(False)
        net.load_state_dict(weights)
    else:
        net = train_autoencoder(torch.from_numpy(images), components, rng, hidden=hidden)
        write_atomically(path, pack_arrays({k: v.numpy() for k, v in net.state_dict().items()}))
    codes = net.encode(torch.from_numpy(images))
    mean, scale = codes.mean(0), codes.var(0).mean().sqrt()
    names = tuple(f"code {i + 1}" for i in range(components))
    return (
        lambda v: ((net.encode(torch.from_numpy(v)) - mean) / scale).numpy(),
        lambda p: net.decode(torch.from_numpy(p) * scale + mean).numpy(),
        names,
    )


def _spectral(images: np.ndarray, components: int, key: str) -> Fitted:
    """Laplacian eigenmaps of the images' 10-nearest-neighbour graph: what is joined by many small steps lies close.

    Digits come out as separate groups without any label. An image that the graph does not hold takes the mean of its
    neighbours' coordinates; a point decodes to the mean of the images next to it, nearer ones counting more.
    """
    import warnings

    from sklearn.decomposition import PCA
    from sklearn.manifold import SpectralEmbedding
    from sklearn.neighbors import NearestNeighbors

    pca = PCA(min(50, *images.shape), svd_solver="covariance_eigh").fit(images)
    flat = pca.transform(images)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            codes = SpectralEmbedding(components, affinity="nearest_neighbors", n_neighbors=10, random_state=0).fit_transform(flat)
        except UserWarning:
            raise InputError(
                "The spectral space needs source and target to be joined by neighbouring images; here they fall apart into groups "
                "without any neighbour in common. Choose space pca or autoencoder."
            ) from None
    codes = ((codes - codes.mean(0)) / np.sqrt(codes.var(0).mean())).astype(np.float32)
    near_images, near_codes = NearestNeighbors(n_neighbors=10).fit(flat), NearestNeighbors(n_neighbors=4).fit(codes)

    def encode(pixels: np.ndarray) -> np.ndarray:
        return _average(codes, *near_images.kneighbors(pca.transform(pixels)))

    def decode(points: np.ndarray) -> np.ndarray:
        return _average(images, *near_codes.kneighbors(points))

    return encode, decode, tuple(f"eigenmap {i + 1}" for i in range(components))


def _average(values: np.ndarray, distances: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Mean of values[rows] (n, k, d) with weights 1 / distance²; a row at distance 0 is returned as it is."""
    weights = 1 / (distances**2 + 1e-9)
    weights /= weights.sum(1, keepdims=True)
    return np.einsum("nk,nkd->nd", weights.astype(np.float32), values[rows])


def cache_dir() -> Path:
    """Where fitted spaces and generators are kept."""
    path = store_dir() / "cache"
    path.mkdir(parents=True, exist_ok=True)
    return path
