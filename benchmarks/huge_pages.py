"""Training with memory in pages of 2 MB, as the flow starts its stages, against pages of 4 KB.

    python benchmarks/huge_pages.py [--repeats 5] [--steps 30]

Trains networks of the embedded benchmark's sizes on random batches with one thread, in processes of their own, since
only the start of a process chooses the pages. The two sides alternate within each repeat; the medians of a training
step and their ratio are printed, and equal losses are checked.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from flows.stage import HUGE_PAGES
from hmu_tasks.models.evaluators.evaluator import Evaluator, EvaluatorConfig, contrastive_loss
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.networks.device import mixed_precision
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig

SIDES: dict[str, dict[str, str]] = {"4 KB": {}, "2 MB": HUGE_PAGES}
WARMING = 5


def tokenizer(draw: torch.Generator) -> tuple[nn.Module, Callable[[], Tensor]]:
    """Return the network and what draws a batch of windows and returns its loss."""
    network = RVQVAE(TokenizerConfig(width=192, code_width=128, codes=512, quantizers=4, depth=2))

    def loss() -> Tensor:
        windows = torch.randn(64, 64, 263, generator=draw)
        with mixed_precision(windows.device, one_shape=True):  # as in its training
            return network.training_loss(windows, generator=draw).loss

    return network, loss


def evaluator(draw: torch.Generator) -> tuple[nn.Module, Callable[[], Tensor]]:
    """The same for clips of 40 to 196 frames with captions of 5 to 21 words."""
    network = Evaluator(EvaluatorConfig(movement_width=128, motion_hidden=128, text_hidden=128, width=128))

    def loss() -> Tensor:
        frames = 4 * torch.randint(10, 50, (128,), generator=draw)
        words = torch.randint(5, 22, (128,), generator=draw)
        vectors, classes = (torch.randn(128, 22, width, generator=draw) for width in (300, 15))
        motions = torch.randn(128, int(frames.max()), 263, generator=draw)
        return contrastive_loss(
            network.embed_text(vectors, classes, words), network.embed_motion(motions, frames)
        )

    return network, loss


def base(draw: torch.Generator) -> tuple[nn.Module, Callable[[], Tensor]]:
    """The same for codes of clips of similar lengths, 10 to 49 tokens."""
    network = MaskTransformer(
        MaskTransformerConfig(
            code_width=128, latent=128, layers=3, heads=4, feedforward=384, dropout=0.0, text_width=256
        )
    )

    def loss() -> Tensor:
        longest = int(torch.randint(14, 50, (), generator=draw))
        lengths = torch.randint(longest - 4, longest + 1, (64,), generator=draw)
        ids = torch.randint(512, (64, longest), generator=draw)
        return network.training_loss(ids[..., None], torch.randn(64, 256, generator=draw), lengths, draw).loss

    return network, loss


def measure(steps: int) -> None:
    """Print the seconds of a training step and the last loss of each network, as JSON."""
    torch.set_num_threads(1)
    found = {}
    for build in (tokenizer, evaluator, base):
        torch.manual_seed(0)
        network, loss_of = build(torch.Generator().manual_seed(0))
        optimiser = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
        start, last = 0.0, 0.0
        for step in range(WARMING + steps):
            if step == WARMING:
                start = time.perf_counter()
            loss = loss_of()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            last = loss.item()
        found[build.__name__] = ((time.perf_counter() - start) / steps, last)
    print(json.dumps(found))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--measure", action="store_true", help="one side, in this process")
    given = parser.parse_args()
    if given.measure:
        measure(given.steps)
        return
    seconds: dict[str, dict[str, list[float]]] = {}
    losses: dict[str, set[float]] = {}
    neither = {key: value for key, value in os.environ.items() if key not in HUGE_PAGES}
    for _ in range(given.repeats):
        for side, variables in SIDES.items():
            command = [sys.executable, __file__, "--measure", "--steps", str(given.steps)]
            done = subprocess.run(
                command, env=neither | variables, check=True, stdout=subprocess.PIPE, text=True
            )
            for name, (taken, loss) in json.loads(done.stdout).items():
                seconds.setdefault(name, {}).setdefault(side, []).append(taken)
                losses.setdefault(name, set()).add(loss)
    print(f"{'ms per training step':22}{'4 KB':>8}{'2 MB':>8}{'ratio':>8}")
    for name, sides in seconds.items():
        small, large = (statistics.median(sides[side]) for side in SIDES)
        assert len(losses[name]) == 1, f"{name} computes something else: {losses[name]}"
        print(f"{name:22}{1000 * small:8.0f}{1000 * large:8.0f}{small / large:8.2f}")


if __name__ == "__main__":
    main()
