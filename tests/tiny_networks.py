"""Networks over codes at the smallest size, as the tests of the generators make and train them."""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.generators.token_loss import TokenLoss

SIZES: dict[str, Any] = {
    "codes": 20,
    "code_width": 12,
    "latent": 16,
    "layers": 2,
    "heads": 2,
    "feedforward": 32,
    "dropout": 0.1,
    "text_width": 6,
    "positions": 64,
}
N = TypeVar("N", bound=nn.Module)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def enlarged(network: N) -> N:
    """The network with larger weights than at the start of training, so that inputs matter; not training."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(5.0) if parameter.ndim > 1 else None
    return network.eval()


def learn(
    network: CodeNetwork, codes: Tensor, text: Tensor, lengths: Tensor, *, steps: int
) -> tuple[float, TokenLoss]:
    """Train on one batch: mean loss of the last twenty steps as a share of the first twenty's, and the last loss."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    network.train()
    losses = []
    for step in range(steps):
        result = network.training_loss(codes, text, lengths, generator(step))
        optimiser.zero_grad()
        result.loss.backward()
        optimiser.step()
        losses.append(result.loss.item())
    return sum(losses[-20:]) / sum(losses[:20]), result
