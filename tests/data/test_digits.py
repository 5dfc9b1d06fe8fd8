"""Digits: shares, spaces that decode, other collections in their true layouts, downloads. Files are generated here."""

import bz2
import functools
import gzip
import hashlib
import http.server
import struct
import threading

import numpy as np
import pytest

from uotlab.data import collections, fetch
from uotlab.data.base import load
from uotlab.data.digits import choose_images, halves, resized
from uotlab.data.idx import read_idx
from uotlab.errors import InputError

rng = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No data folder and an empty store."""
    monkeypatch.setenv("UOTLAB_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("UOTLAB_DATA", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    collections.forget()
    return tmp_path


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()


def write_mnist(folder, packed=True, n=(400, 100)):
    """MNIST's four files with images of random noise."""
    folder.mkdir(exist_ok=True)
    for part, images in zip(("train", "t10k"), n):
        for kind, array in (("images-idx3", rng.integers(0, 256, (images, 28, 28))), ("labels-idx1", np.arange(images) % 10)):
            path = folder / f"{part}-{kind}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))


def write_usps(folder):
    """The layout of `usps.bz2`: labels 1 to 10, values in [-1, 1], zeros left out."""
    for name, n in (("usps.bz2", 60), ("usps.t.bz2", 40)):
        lines = []
        for i in range(n):
            values = np.where(rng.random(256) < 0.1, 0, rng.uniform(-1, 1, 256))
            lines.append(f"{i % 10 + 1} " + " ".join(f"{j + 1}:{v:.4f}" for j, v in enumerate(values) if v))
        (folder / name).write_bytes(bz2.compress("\n".join(lines).encode()))


def test_the_shipped_subset_is_balanced():
    subset = collections.mnist_subset()
    assert subset.images.shape == (6000, 28, 28)
    assert np.bincount(subset.digits).tolist() == [600] * 10


@pytest.mark.parametrize("scheme", ["linear", "three-level"])
def test_imbalance_keeps_its_shares_and_says_the_true_ratio(scheme):
    p = load("mnist-imbalance", n=1650, space="pca", scheme=scheme)
    source, target = (np.bincount(m.labels["digit"], minlength=10) / m.n for m in p.marginals)
    assert source == pytest.approx([0.1] * 10)
    ratio = p.truth["true_ratio"]
    assert target / source == pytest.approx([ratio[k] for k in range(10)], rel=0.02)
    if scheme == "linear":
        assert ratio[0] / ratio[9] == pytest.approx(10)
        assert np.bincount(p.target.labels["digit"]).tolist() == list(range(300, 0, -30))
    else:
        assert [ratio[k] > 1 for k in range(4)] == [True] * 4
        assert [ratio[k] < 1 for k in range(6, 10)] == [True] * 4


def test_no_image_is_on_both_sides():
    first, second = halves(collections.mnist_subset(), np.random.default_rng(0))
    assert np.bincount(first.digits).tolist() == np.bincount(second.digits).tolist() == [300] * 10
    keys = [{hashlib.sha256(v.tobytes()).digest() for v in half.images} for half in (first, second)]
    assert not keys[0] & keys[1]


def test_shares_are_kept_to_within_one_image():
    digits = np.repeat(np.arange(10), 50)
    shares = np.arange(10, 0, -1.0)
    rows = choose_images(digits, shares, 77, np.random.default_rng(0))
    counts = np.bincount(digits[rows], minlength=10)
    assert len(rows) == len(set(rows)) == 77
    assert (np.abs(counts - 77 * shares / 55) < 1).all()
    assert len(choose_images(digits, shares, 10**6, np.random.default_rng(0))) == 275


@pytest.mark.parametrize("space", ["pca", "pixels", "spectral"])
def test_spaces_decode_back_to_the_images(space):
    p = load("digits", n=300, space=space, source_digits="0123456789", target_digits="0123456789")
    images = p.images.decode(p.source.points[:50])
    assert images.shape == (50, 8, 8)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    pixels = load("digits", n=300, space="pixels", source_digits="0123456789", target_digits="0123456789")
    error = ((images - pixels.images.decode(pixels.source.points[:50])) ** 2).mean()
    assert error < {"pca": 0.02, "pixels": 1e-9, "spectral": 1e-4}[space]
    assert p.kind == ("images" if space == "pixels" else "latents")


def test_the_autoencoder_is_kept_and_used_again(alone, monkeypatch):
    from uotlab.data import spaces
    from uotlab.nets import autoencoder

    quick = functools.partial(autoencoder.train_autoencoder, steps=150)
    monkeypatch.setattr(autoencoder, "train_autoencoder", quick)
    first = load("digits", n=200, space="autoencoder", components=8)
    assert first.source.d == 8
    assert (first.source.points.var(0).mean() + first.target.points.var(0).mean()) / 2 == pytest.approx(1, abs=0.3)
    assert first.images.decode(first.source.points).shape == (200, 8, 8)
    assert len(list((alone / "store" / "cache").glob("autoencoder-*.npz"))) == 1
    spaces._held.clear()
    monkeypatch.setattr(autoencoder, "train_autoencoder", lambda *a, **k: pytest.fail("trained twice"))
    again = load("digits", n=200, space="autoencoder", components=8)
    assert np.array_equal(first.source.points, again.source.points)


def test_the_dimmed_target_is_half_as_bright():
    p = load("mnist-dimmed", n=400, space="pixels", scheme="three-level")
    bright, dim = (p.images.decode(m.points).max() for m in p.marginals)
    assert dim == pytest.approx(bright / 2, abs=0.01)


def test_spectral_refuses_groups_without_neighbours():
    with pytest.raises(InputError, match="Choose space pca or autoencoder"):
        load("digits", n=100, space="spectral", source_digits="0", target_digits="1")


def test_a_digit_on_both_sides_is_split():
    p = load("digits", n=900, source_digits="01", target_digits="12")
    counts = [np.bincount(m.labels["digit"], minlength=3)[:3] for m in p.marginals]
    assert counts[0][2] == counts[1][0] == 0
    assert counts[0][0] == 178
    assert 90 <= counts[0][1] <= 92
    with pytest.raises(InputError, match="source_digits"):
        load("digits", source_digits="ab")


def test_other_scanners_come_into_mnists_frame():
    framed = resized(collections.mfeat().images)
    assert framed.shape == (2000, 28, 28)
    mass = framed.astype(float)
    for axis in (1, 2):
        centre = (mass.sum(3 - axis) @ np.arange(28)) / mass.sum((1, 2))
        assert np.abs(centre - 13.5).max() <= 0.51
    assert (framed.max((1, 2)) > 150).all()


def test_the_full_mnist_is_found_in_either_layout(alone):
    with pytest.raises(InputError, match="uotlab fetch mnist"):
        load("mnist-imbalance", subset=False)
    write_mnist(alone / "own", packed=False)
    full = collections.mnist_full()
    assert full.images.shape == (500, 28, 28)
    p = load("mnist-imbalance", n=50, subset=False, space="pca")
    assert p.source.n == 50
    np.savez(
        alone / "own" / "mnist.npz",
        x_train=full.images[:400],
        y_train=full.digits[:400],
        x_test=full.images[400:],
        y_test=full.digits[400:],
    )
    assert np.array_equal(collections.mnist_full().images, full.images)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not an idx file"),
        (b"PK\x03\x04", "not an idx file"),
        (idx(np.zeros((3, 4, 4)))[:-1], "cut off"),
        (idx(np.zeros((3, 4, 4))) + b"x", "cut off"),
        (bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**31, 2**31), "cut off"),
        (bytes([0, 0, 13, 1]) + struct.pack(">I", 1) + b"1234", "unsigned bytes"),
    ],
)
def test_bad_idx_files_get_a_sentence(content, says, tmp_path):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_idx(tmp_path / "f")
    (tmp_path / "f.gz").write_bytes(gzip.compress(content)[:-4])
    with pytest.raises(InputError, match="damaged"):
        read_idx(tmp_path / "f.gz")


def test_usps_comes_from_the_users_folder_only(alone):
    with pytest.raises(InputError, match="USPS is not here and may not be shipped"):
        load("mnist-to-usps")
    write_usps(alone / "own")
    data = collections.usps()
    assert data.images.shape == (100, 16, 16)
    assert np.bincount(data.digits).tolist() == [10] * 10
    p = load("mnist-to-usps", n=80)
    assert (p.source.n, p.target.n) == (80, 80)
    assert p.images.decode(p.target.points).shape == (80, 28, 28)
    (alone / "own" / "usps.bz2").write_bytes(bz2.compress(b"1 oops"))
    with pytest.raises(InputError, match="not libsvm text"):
        collections.usps()


@pytest.fixture
def host(tmp_path):
    """A web server over tmp_path/host; yields its address."""
    folder = tmp_path / "host"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_fetch_tries_mirrors_in_turn_and_checks_the_digest(alone, host, monkeypatch):
    write_mnist(alone / "host")
    digests = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (alone / "host").iterdir()}
    monkeypatch.setattr(fetch, "MNIST_FILES", digests)
    monkeypatch.setattr(fetch, "MNIST_MIRRORS", (host + "missing/", host))
    seen = []
    folder = fetch.fetch("MNIST", progress=lambda name, done: seen.append((name, done)))
    assert {name for name, _ in seen} == set(digests)
    assert all(0 <= done <= 1 for _, done in seen)
    assert collections.mnist_full().images.shape == (500, 28, 28)
    monkeypatch.setattr(fetch, "MNIST_MIRRORS", ())
    assert fetch.fetch("mnist") == folder  # nothing to download
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(b"broken")
    monkeypatch.setattr(fetch, "MNIST_MIRRORS", (host + "missing/",))
    with pytest.raises(InputError, match=r"train-labels-idx1-ubyte.gz could not be downloaded"):
        fetch.fetch("mnist")
    monkeypatch.setattr(fetch, "MNIST_MIRRORS", (host,))
    monkeypatch.setattr(fetch, "MNIST_FILES", dict.fromkeys(digests, "0" * 64))
    with pytest.raises(InputError, match="wrong checksum"):
        fetch.fetch("mnist")


def test_fetch_takes_what_the_user_already_has(alone):
    mine = alone / "mine"
    write_mnist(mine, packed=False)
    folder = fetch.fetch("mnist", file=mine)
    assert collections.mnist_full().images.shape == (500, 28, 28)
    assert sorted(p.name for p in folder.iterdir()) == sorted(collections.PARTS)
    write_usps(mine)
    fetch.fetch("usps", file=mine / "usps.bz2")
    assert len(collections.usps().digits) == 100
    for name, file, says in (
        ("mnist", alone / "gone", "no file or folder gone"),
        ("mnist", alone / "own", "train-images-idx3-ubyte.gz is missing"),
        ("usps", alone / "own", "not usps.npz, usps.bz2 or a folder"),
        ("usps", None, "Download usps.bz2"),
        ("minst", None, "Did you mean 'mnist'"),
    ):
        with pytest.raises(InputError, match=says):
            fetch.fetch(name, file=file)


def test_the_official_digests_are_those_of_the_idx_files():
    assert set(fetch.MNIST_FILES) == {f"{part}.gz" for part in collections.PARTS}
    assert all(len(bytes.fromhex(digest)) == 32 for digest in fetch.MNIST_FILES.values())
