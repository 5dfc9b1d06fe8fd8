"""A small denoising autoencoder: images to short codes in which digits lie further apart than in pixels, and back."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _linear(inputs: int, outputs: int, rng: torch.Generator) -> nn.Linear:
    """A linear layer whose start depends on `rng` alone."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=rng)
    nn.init.zeros_(layer.bias)
    return layer


class Autoencoder(nn.Module):
    """Encoder p -> hidden -> hidden -> code and its mirror image; pixels and outputs lie in [0, 1]."""

    def __init__(self, pixels: int, code: int, hidden: int, rng: torch.Generator) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            _linear(pixels, hidden, rng), nn.ReLU(), _linear(hidden, hidden // 2, rng), nn.ReLU(), _linear(hidden // 2, code, rng)
        )
        self.decoder = nn.Sequential(
            _linear(code, hidden // 2, rng), nn.ReLU(), _linear(hidden // 2, hidden, rng), nn.ReLU(), _linear(hidden, pixels, rng)
        )

    def encode(self, images: Tensor) -> Tensor:
        """(n, p) in [0, 1] -> codes (n, k)."""
        return self.encoder(images)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (n, k) -> (n, p) in [0, 1]."""
        return torch.sigmoid(self.decoder(codes))


def train_autoencoder(
    images: Tensor, code: int, rng: torch.Generator, *, steps: int = 800, hidden: int = 256, batch: int = 256, noise: float = 0.2
) -> Autoencoder:
    """Fit an autoencoder by binary cross-entropy on noisy inputs; some seconds on one core for 784 pixels.

    Args:
        images: (n, p) float32 in [0, 1].
        code: length of the code.
        noise: standard deviation of the noise on the inputs.
    """
    net = Autoencoder(images.shape[1], code, hidden, rng)
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, cycle_momentum=False)
    for _ in range(steps):
        x = images[torch.randint(len(images), (batch,), generator=rng)]
        noisy = (x + noise * torch.randn(x.shape, generator=rng)).clamp(0, 1)
        loss = F.binary_cross_entropy_with_logits(net.decoder(net.encode(noisy)), x)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval().requires_grad_(False)
