"""A small variational autoencoder of images of one colour: a code z gives the ink of each pixel, and the colour of all of them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from uotlab.nets.mlp import mlp

BALL = 1.5  #: radius of the codes' ball, in sqrt(code length): N(0, I) lies well inside
COLOUR_WEIGHT = 20.0  #: of a colour's squared error beside that of the ink, which has hundreds of pixels
KL_WEIGHT = 0.1  #: of the codes' divergence: with 1 the digits come out blurred
LR = 3e-3


def decoloured(images: Tensor) -> Tensor:
    """The brightest channel of each pixel, (n, p, 3) -> (n, p): a red digit and a yellow one are the same grey digit."""
    return images.amax(-1)


def mean_colour(images: Tensor) -> Tensor:
    """Mean colour of the ink, (n, p, 3) -> (n, 3): a pixel counts by its brightness, the black ground not at all."""
    return images.sum(1) / decoloured(images).sum(1, keepdim=True).clamp(min=1e-6)


class ColouredVAE(nn.Module):
    """Coloured images (n, p, 3) in [0, 1] to codes (n, k) and back, as ink times a pure colour.

    So the brightest channel of G(z) is its ink, the mean colour of its ink its colour, and neither needs the whole image. Codes lie in a
    ball, and `inside` brings any point into it: beyond, nothing was learned.
    """

    def __init__(self, pixels: int, code: int, hidden: int, rng: torch.Generator) -> None:
        super().__init__()
        self.code, self.radius = code, BALL * code**0.5
        self.encoder = mlp(pixels + 3, 2 * code, hidden, 2, rng)
        self.trunk = nn.Sequential(mlp(code, hidden, hidden, 1, rng), nn.SiLU())
        self.to_ink, self.to_colour = mlp(hidden, pixels, 0, 0, rng), mlp(hidden, 3, 0, 0, rng)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the codes of images (n, p, 3), (n, k) each."""
        mean, log_variance = self.encoder(torch.cat([decoloured(images), mean_colour(images)], 1)).chunk(2, 1)
        return mean, log_variance

    def ink(self, z: Tensor) -> Tensor:
        """Brightness of each pixel of G(z), (n, k) -> (n, p) in [0, 1]: the decoloured image."""
        return self.to_ink(self.trunk(z)).sigmoid()  # type: ignore[no-any-return]

    def colour(self, z: Tensor) -> Tensor:
        """Colour of G(z), (n, k) -> (n, 3): the brightest channel 1, the darkest 0, so that no code is grey or white."""
        raw = self.to_colour(self.trunk(z))
        low, high = raw.amin(1, keepdim=True), raw.amax(1, keepdim=True)
        return (raw - low) / (high - low).clamp(min=1e-3)  # type: ignore[no-any-return]

    def forward(self, z: Tensor) -> Tensor:
        """G(z), (n, k) -> (n, p, 3)."""
        return self.ink(z)[..., None] * self.colour(z)[:, None]

    def inside(self, v: Tensor) -> Tensor:
        """Codes in the ball, the nearer to its shell the further v is out, (n, k) -> (n, k)."""
        return v * (1 + (v / self.radius).square().sum(1, keepdim=True)).rsqrt()


def hues(n: int, rng: torch.Generator) -> Tensor:
    """n pure colours of random hue, (n, 3): one channel 1, one 0, one between."""
    turned = (torch.tensor([5.0, 3.0, 1.0]) + 6 * torch.rand(n, 1, generator=rng)) % 6
    return 1 - torch.minimum(turned, 4 - turned).clamp(0, 1)


def train_coloured_vae(
    ink: Tensor, code: int, rng: torch.Generator, steps: int, report: Callable[[float], None], *, hidden: int = 256, batch: int = 64
) -> ColouredVAE:
    """Fit to grey images in random hues by squared error and the codes' divergence from N(0, I); some seconds on one core.

    Args:
        ink: grey images (n, p) float32 in [0, 1].
        report: told the fraction that is done, now and then.
    """
    net = ColouredVAE(ink.shape[1], code, hidden, rng)
    optimiser = torch.optim.Adam(net.parameters(), LR, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LR, total_steps=max(steps, 4))
    for step in range(steps):
        x, colour = ink[torch.randint(len(ink), (batch,), generator=rng)], hues(batch, rng)
        mean, log_variance = net.encode(x[..., None] * colour[:, None])
        z = net.inside(mean + torch.randn(mean.shape, generator=rng) * (log_variance / 2).exp())
        error = (net.ink(z) - x).square().sum(1) + COLOUR_WEIGHT * (net.colour(z) - colour).square().sum(1)
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(1) / 2
        optimiser.zero_grad(set_to_none=True)
        (error + KL_WEIGHT * divergence).mean().backward()
        optimiser.step()
        schedule.step()
        if step % 25 == 24 or step == steps - 1:
            report((step + 1) / steps)
    return net.eval().requires_grad_(False)
