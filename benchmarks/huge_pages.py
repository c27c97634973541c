"""Training with memory in pages of 2 MB, as `make repro` starts its steps, against pages of 4 KB.

    python benchmarks/huge_pages.py [--repeats 5] [--steps 60]

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

from flows.stage import HUGE_PAGES
from hmu_tasks.threads import limit_threads

SIDES: dict[str, dict[str, str]] = {"4 KB": {}, "2 MB": HUGE_PAGES}


def losses() -> "dict[str, Callable[[], object]]":
    """Build the networks; each function draws a batch and returns its loss."""
    import torch

    from hmu_tasks.models.evaluator import Evaluator, EvaluatorConfig, contrastive_loss
    from hmu_tasks.models.masked import MaskTransformer, MaskTransformerConfig
    from hmu_tasks.models.rvq import RVQVAE, TokenizerConfig

    draw = torch.Generator().manual_seed(0)
    tokenizer = RVQVAE(TokenizerConfig(width=192, code_width=128, codes=512, quantizers=4, depth=2))
    evaluator = Evaluator(EvaluatorConfig(movement_width=128, motion_hidden=128, text_hidden=128, width=128))
    base = MaskTransformer(
        MaskTransformerConfig(
            code_width=128, latent=128, layers=3, heads=4, feedforward=384, dropout=0.0, text_width=256
        )
    )

    def tokenizer_loss() -> torch.Tensor:
        return tokenizer.training_loss(torch.randn(64, 64, 263, generator=draw), generator=draw).loss

    def evaluator_loss() -> torch.Tensor:
        frames = 4 * torch.randint(10, 50, (128,), generator=draw)
        words = torch.randint(5, 22, (128,), generator=draw)
        text = evaluator.embed_text(
            torch.randn(128, 22, 300, generator=draw), torch.randn(128, 22, 15, generator=draw), words
        )
        motion = evaluator.embed_motion(torch.randn(128, int(frames.max()), 263, generator=draw), frames)
        return contrastive_loss(text, motion)

    def base_loss() -> torch.Tensor:
        longest = int(torch.randint(14, 50, (), generator=draw))  # batches of similar lengths, as in training
        lengths = torch.randint(longest - 4, longest + 1, (64,), generator=draw)
        ids = torch.randint(512, (64, longest), generator=draw)
        return base.training_loss(ids, torch.randn(64, 256, generator=draw), lengths, draw).loss

    found = {"tokenizer": tokenizer_loss, "evaluator": evaluator_loss, "base": base_loss}
    networks = {"tokenizer": tokenizer, "evaluator": evaluator, "base": base}
    return {name: _step(networks[name], loss) for name, loss in found.items()}


def _step(network: object, loss_of: "Callable[[], object]") -> "Callable[[], object]":
    import torch

    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)

    def step() -> float:
        loss = loss_of()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return float(loss.item())

    return step


def measure(steps: int) -> None:
    """Print seconds of a step and the last loss of each network, as JSON."""
    import torch

    limit_threads()
    torch.manual_seed(0)
    found = {}
    for name, step in losses().items():
        for _ in range(5):
            step()
        start = time.perf_counter()
        for _ in range(steps):
            loss = step()
        found[name] = ((time.perf_counter() - start) / steps, loss)
    print(json.dumps(found))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--measure", action="store_true", help="one side, in this process")
    given = parser.parse_args()
    if given.measure:
        measure(given.steps)
        return
    seconds: dict[str, dict[str, list[float]]] = {}
    outcomes: dict[str, set[float]] = {}
    for _ in range(given.repeats):
        for side, variables in SIDES.items():
            command = [sys.executable, __file__, "--measure", "--steps", str(given.steps)]
            clean = {key: value for key, value in os.environ.items() if key not in HUGE_PAGES}
            done = subprocess.run(command, env=clean | variables, check=True, capture_output=True, text=True)
            for name, (taken, loss) in json.loads(done.stdout).items():
                seconds.setdefault(name, {}).setdefault(side, []).append(taken)
                outcomes.setdefault(name, set()).add(loss)
    print(f"{'ms per training step':22}{'4 KB':>8}{'2 MB':>8}{'ratio':>8}")
    for name, sides in seconds.items():
        small, large = (statistics.median(sides[side]) for side in SIDES)
        assert len(outcomes[name]) == 1, f"{name} computes something else: {outcomes[name]}"
        print(f"{name:22}{1000 * small:8.0f}{1000 * large:8.0f}{small / large:8.2f}")


if __name__ == "__main__":
    main()
