"""BAMM decoding with a KV cache against recomputing the whole sequence for each token.

    python benchmarks/bamm_cache.py [--prompts 32] [--tokens 49] [--repeats 3] [--official]

Samples base codes for random sentence embeddings with an untrained transformer of the embedded benchmark's size, or of
the published size with --official. The two variants alternate within each repeat; prints the medians and their ratio,
and checks that the codes are equal.
"""

import argparse
import statistics
import time

import torch
from torch import Tensor

from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.bamm_decoding import generate

SMALL = BammConfig(code_width=128, latent=128, layers=3, heads=4, feedforward=384, text_width=256)


def timed(network: BammTransformer, text: Tensor, lengths: Tensor, *, cached: bool) -> tuple[float, Tensor]:
    """Generate once; returns the seconds and the codes [B, T]."""
    start = time.perf_counter()
    codes = generate(network, text, lengths, generator=torch.Generator().manual_seed(0), cached=cached)
    return time.perf_counter() - start, codes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=49)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--official", action="store_true", help="the published sizes: 8 layers of width 384")
    options = parser.parse_args()
    config = BammConfig() if options.official else SMALL
    network = BammTransformer(config).eval()
    text = torch.randn(options.prompts, config.text_width, generator=torch.Generator().manual_seed(1))
    lengths = torch.full((options.prompts,), options.tokens)
    timed(network, text, lengths, cached=True)  # warm-up
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(options.repeats):
        codes = {}
        for cached, taken in seconds.items():
            spent, codes[cached] = timed(network, text, lengths, cached=cached)
            taken.append(spent)
        same = float((codes[True] == codes[False]).float().mean())
        if same < 0.99:  # a few samples may differ, as the two sums round differently
            raise SystemExit(f"only {same:.1%} of the codes are equal")
    cached, plain = (statistics.median(seconds[side]) for side in (True, False))
    size = f"{options.prompts} prompts x {options.tokens} tokens, {config.layers} layers of width {config.latent}"
    print(f"{size}, {torch.get_num_threads()} threads, median of {options.repeats}")
    print(f"cached {cached:.2f} s, recomputed {plain:.2f} s: {plain / cached:.1f} times as fast")


if __name__ == "__main__":
    main()
