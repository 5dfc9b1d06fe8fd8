"""Shapes and colours: the generator and what marginals see of it, its cache, progress and refusal; the shares; digits by three hands."""

import numpy as np
import pytest
import torch

import uotlab
from uotlab.data import coloured
from uotlab.data.progress import listening
from uotlab.engine.frames import portrait
from uotlab.nets.coloured_vae import ColouredVAE, decoloured, hues, mean_colour


@pytest.fixture
def quick(store, monkeypatch):
    """A generator that is hardly trained, and is taken all the same."""
    monkeypatch.setattr(coloured, "LEAST_EXPLAINED", -1e9)
    monkeypatch.setattr(coloured, "LEAST_ALIKE", 0.0)
    monkeypatch.setattr(coloured, "_held", {})
    return lambda **more: uotlab.load("shape-colour", n=90, generator_steps=2, **more)


def test_what_is_seen_of_an_image_is_what_its_pixels_say():
    net = ColouredVAE(12, 4, 16, torch.Generator().manual_seed(0))
    z = net.inside(5 * torch.randn(50, 4, generator=torch.Generator().manual_seed(1)))
    images = net(z)
    assert images.shape == (50, 12, 3)
    torch.testing.assert_close(decoloured(images), net.ink(z))
    torch.testing.assert_close(mean_colour(images), net.colour(z))
    assert float(z.norm(dim=1).max()) < net.radius
    colours = hues(500, torch.Generator().manual_seed(2))
    assert colours.amax(1).tolist() == [1.0] * 500
    assert float(colours.amin(1).abs().max()) < 1e-6
    assert colours.mean(0).tolist() == pytest.approx([0.5] * 3, abs=0.06)


def test_shares_spaces_and_pictures(quick):
    p = quick(white=0.1)
    shapes, colours = p.marginals
    digits = shapes.labels["digit"]
    assert {int(d): round(float(shapes.weights[digits == d].sum()), 6) for d in np.unique(digits)} == {2: 0.49, 3: 0.5, 7: 0.01}
    assert {str(c): int((colours.labels["colour"] == c).sum()) for c in np.unique(colours.labels["colour"])} == {
        "green": 41, "red": 40, "white": 9,
    }  # fmt: skip
    assert (shapes.d, colours.d, p.space.d) == (784, 3, 16)
    assert set(shapes.labels["generator"][digits == 7]) == {"new"}
    z, net = p.space.draw(8, torch.Generator().manual_seed(0)), p.truth["generator"]
    torch.testing.assert_close(p.space.costs[1].h(z), 6 * net.colour(z))
    assert p.space.images.decode(z.numpy()).shape == (8, 28, 28, 3)
    arrays, names = portrait(p)
    assert names["marginal_label/0"] == ("2", "3", "7")
    assert arrays["marginal_image/1"].shape[1:] == (28, 28, 3)


def test_a_generator_is_made_once_and_kept(quick, store, monkeypatch):
    told = []
    with listening(lambda what, done: told.append((what, done))):
        first = quick()
    assert told[-1] == ("Training the generator of coloured digits", 1.0)
    monkeypatch.setattr(coloured, "_held", {})
    monkeypatch.setattr(coloured, "train_coloured_vae", None)  # from now on only the file is left
    again = quick()
    assert again.truth["generator"] is not first.truth["generator"]
    z = first.space.draw(5, torch.Generator().manual_seed(0))
    assert torch.equal(first.truth["generator"](z), again.truth["generator"](z))
    assert [path.suffix for path in (store / "cache").iterdir()] == [".npz"]
    told.clear()
    quick(outliers=0.0)
    assert not told


def test_a_poor_generator_is_refused(store, monkeypatch):
    monkeypatch.setattr(coloured, "_held", {})
    with pytest.raises(uotlab.InputError, match=r"came out poor.*raise generator_steps"):
        uotlab.load("shape-colour", n=90, generator_steps=1)


def test_three_hands_write_the_same_digits():
    p = uotlab.load("digit-hands", n=120, components=8)
    assert [m.n for m in p.marginals] == [120, 120, 120]
    kinds = p.source.labels["digit"]
    assert sorted(set(kinds)) == ["0", "3", "8", "negative"]
    assert (kinds == "negative").sum() == 5
    brightness = p.images.decode(p.source.points).mean((1, 2))
    assert brightness[kinds == "negative"].min() > brightness[kinds != "negative"].max()
    fitted = uotlab.fit("unotb", p, 3, device="cpu", width=8, batch_size=16)
    assert fitted.barycenter_map(2, p.marginals[2].points).shape == (120, 8)
    assert len(uotlab.load("digit-hands", n=30, marginals=2, digits="17").marginals) == 2
