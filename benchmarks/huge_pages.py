"""Training with 2 MB memory pages, as the flow starts its stages, against 4 KB pages.

    python benchmarks/huge_pages.py [--repeats 5] [--steps 30]

Trains networks of the embedded benchmark's sizes on random batches with one thread, each in its own process, as the
page size is fixed when a process starts. The two variants alternate within each repeat; prints the medians of a
training step and their ratio, and checks that the losses are equal.
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

from flows.engine.process import HUGE_PAGES
from hmu_tasks.models.evaluators.evaluator import Evaluator, EvaluatorConfig, contrastive_loss
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.networks.device import mixed_precision
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig

SIDES: dict[str, dict[str, str]] = {"4 KB": {}, "2 MB": HUGE_PAGES}
WARMING = 5


def tokenizer(generator: torch.Generator) -> tuple[nn.Module, Callable[[], Tensor]]:
    """A tokenizer, and a function that samples a batch of windows and returns the training loss."""
    network = RVQVAE(TokenizerConfig(width=192, code_width=128, codes=512, quantizers=4, depth=2))

    def loss() -> Tensor:
        windows = torch.randn(64, 64, 263, generator=generator)
        with mixed_precision(windows.device, one_shape=True):  # as in its training
            return network.training_loss(windows, generator=generator).loss

    return network, loss


def evaluator(generator: torch.Generator) -> tuple[nn.Module, Callable[[], Tensor]]:
    """An evaluator, and the same for clips of 40 to 196 frames with captions of 5 to 21 words."""
    network = Evaluator(EvaluatorConfig(movement_width=128, motion_hidden=128, text_hidden=128, width=128))

    def loss() -> Tensor:
        frames = 4 * torch.randint(10, 50, (128,), generator=generator)
        words = torch.randint(5, 22, (128,), generator=generator)
        vectors, classes = (torch.randn(128, 22, width, generator=generator) for width in (300, 15))
        motions = torch.randn(128, int(frames.max()), 263, generator=generator)
        return contrastive_loss(
            network.embed_text(vectors, classes, words), network.embed_motion(motions, frames)
        )

    return network, loss


def base(generator: torch.Generator) -> tuple[nn.Module, Callable[[], Tensor]]:
    """A base transformer, and the same for codes of clips of similar lengths, 10 to 49 tokens."""
    network = MaskTransformer(
        MaskTransformerConfig(
            code_width=128, latent=128, layers=3, heads=4, feedforward=384, dropout=0.0, text_width=256
        )
    )

    def loss() -> Tensor:
        longest = int(torch.randint(14, 50, (), generator=generator))
        lengths = torch.randint(longest - 4, longest + 1, (64,), generator=generator)
        ids = torch.randint(512, (64, longest, 1), generator=generator)
        return network.training_loss(ids, torch.randn(64, 256, generator=generator), lengths, generator).loss

    return network, loss


def measure(steps: int) -> None:
    """Print the seconds per training step and the last loss of each network, as JSON."""
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
    parser.add_argument("--measure", action="store_true", help="measure one variant in this process")
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
