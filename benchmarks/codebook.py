"""Codebook analysis: one batched pass against a loop over motions.

    python benchmarks/codebook.py [--clips 800] [--repeats 5]

Encodes random motions of 40 to 196 frames with an untrained tokenizer of the embedded benchmark's size and
counts, per layer and code, the forget and retain clips in which the code occurs. The two variants alternate within
each repeat; prints the medians and their ratio, and checks that the counts are equal.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from hmu_tasks.methods.shared.codes import CodeUsage, count_codes
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.models.tokenizer.tokenizer import Tokenizer

CODES, LAYERS, WIDTH = 512, 4, 263


def random_tokenizer(seed: int) -> Tokenizer:
    """Untrained tokenizer with codes taken from its own latents, so that many of them are used."""
    network = RVQVAE(
        TokenizerConfig(width=192, code_width=128, codes=CODES, quantizers=LAYERS, depth=2), seed=seed
    ).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        latent = network.latent(torch.randn((64, 64, WIDTH), generator=generator)).flatten(0, 1)
        picks = torch.randint(0, len(latent), (LAYERS, CODES), generator=generator)
        shrink = 0.5 ** torch.arange(LAYERS)[:, None, None]
        network = network.with_codebooks(latent[picks] * shrink)
    return Tokenizer(network, torch.zeros(WIDTH), torch.ones(WIDTH))


def random_clips(n: int, seed: int) -> list[np.ndarray]:
    """Return n clips [F, 263] of 40 to 196 frames."""
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal((frames, WIDTH), dtype=np.float32) for frames in rng.integers(40, 197, size=n)
    ]


def batched(tokenizer: Tokenizer, clips: list[np.ndarray], forget: np.ndarray) -> CodeUsage:
    """Encode clips of equal length in batches and count all codes at once."""
    return count_codes(tokenizer.encode(clips), forget, CODES)


def loop(tokenizer: Tokenizer, clips: list[np.ndarray], forget: np.ndarray) -> np.ndarray:
    """Encode and count motion by motion; [2, layers, codes] presence in forget and retain."""
    counts = np.zeros((2, LAYERS, CODES), dtype=np.int64)
    for clip, hit in zip(clips, forget, strict=True):
        codes = tokenizer.encode([clip])[0]
        for layer in range(LAYERS):
            counts[0 if hit else 1, layer, np.unique(codes[:, layer])] += 1
    return counts


def seconds(run: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Measure both variants and print the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=800)
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    tokenizer, clips = random_tokenizer(0), random_clips(chosen.clips, 1)
    forget = np.random.default_rng(2).random(chosen.clips) < 0.12
    fast, slow = batched(tokenizer, clips, forget), loop(tokenizer, clips, forget)
    differ = int(np.abs(fast.forget_clips - slow[0]).sum() + np.abs(fast.retain_clips - slow[1]).sum())
    total = int(slow.sum())
    # Convolutions round differently in batches, so a latent halfway between two codes may take either.
    assert differ <= total // 1000, f"{differ} of {total} presence counts differ"
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(chosen.repeats):
        times[0].append(seconds(lambda: batched(tokenizer, clips, forget)))
        times[1].append(seconds(lambda: loop(tokenizer, clips, forget)))
    together, apart = (statistics.median(column) for column in times)
    print(f"{chosen.clips} clips, {torch.get_num_threads()} threads, median of {chosen.repeats} runs")
    print(f"one batched pass   {chosen.clips / together:8.0f} clips/s  {together:7.3f} s")
    print(f"motion by motion   {chosen.clips / apart:8.0f} clips/s  {apart:7.3f} s")
    print(
        f"ratio              {apart / together:8.2f}   ({differ} of {total} presence counts differ by rounding)"
    )


if __name__ == "__main__":
    main()
