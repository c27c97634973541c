"""Training steps and sampling of the default run on a CPU: this checkout against another one.

    python benchmarks/pair.py OTHER [--rounds 5]       # OTHER: a checkout of another commit

Each round starts both sides in processes of their own, one after the other in alternating order, with one thread, at
the sizes of params.yaml, on random motion and codes. Prints medians of steps and prompts per second of CPU time, which
other work on the machine disturbs less than time on the wall, the median of the rounds' ratios, and their range;
compares the mean loss and all sampled codes of both sides.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STEPS = {"tokenizer": 10, "base": 24, "residual": 24}
WARM = 2


def measure() -> None:
    """Measure the package that this process imports; prints JSON."""
    import numpy as np
    import torch

    from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
    from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
    from hmu_tasks.models.generators.text_to_motion import Sampling
    from hmu_tasks.models.generators.two_stage import TwoStage
    from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
    from hmu_tasks.models.tokenizer.tokenizer import Tokenizer
    from hmu_tasks.training.loop import transformers
    from hmu_tasks.training.loop.batches import CaptionWords, ClipSet
    from hmu_tasks.training.loop.fit import Schedule
    from hmu_tasks.training.tokenizer import train_tokenizer

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    frames = 4 * rng.integers(10, 50, 256)
    features = [rng.standard_normal((n, 263)).astype(np.float32) for n in frames]
    clips = ClipSet([str(i) for i in range(256)], features, [[CaptionWords(str(i), [])] for i in range(256)])
    codes = [rng.integers(0, 512, (n // 4, 4)) for n in frames]
    rows = {str(i): torch.from_numpy(rng.standard_normal((1 + i % 28, 256)).astype("f")) for i in range(256)}
    known = transformers.CodeSet(codes, [[str(i)] for i in range(256)], rows)
    few = transformers.CodeSet(codes[:2], [["0"], ["1"]], rows)
    small = {"code_width": 128, "latent": 128, "heads": 4, "feedforward": 384, "dropout": 0.0}
    small |= {"text_width": 256, "words": 28}
    networks: dict[str, Any] = {
        "tokenizer": RVQVAE(
            TokenizerConfig(
                width=192, code_width=128, quantizers=4, depth=2, dropout=0.0, sample_temperature=0.0
            )
        ),
        "base": MaskTransformer(MaskTransformerConfig(layers=3, **small)),  # type: ignore[arg-type]
        "residual": ResidualTransformer(ResidualTransformerConfig(layers=2, quantizers=4, **small)),  # type: ignore[arg-type]
    }
    found: dict[str, Any] = {}
    for name, network in networks.items():
        steps, marks = STEPS[name], {}

        def progress(done: int, _: int, marks: dict[int, float] = marks) -> None:
            marks[done] = time.process_time()

        options = {
            "schedule": Schedule(steps, 64 if name == "tokenizer" else 32, 1e-3, evaluate_every=steps),
            "seed": 1,
            "device": torch.device("cpu"),
            "checkpoint": None,
            "progress": progress,
        }
        if name == "tokenizer":
            two = ClipSet(clips.ids[:2], clips.features[:2], clips.captions[:2])
            mean, std = torch.zeros(263), torch.ones(263)
            result = train_tokenizer(network, clips, two, mean=mean, std=std, window=64, **options)
        else:
            result = transformers.fit_codes(network, known, few, **options)
        # Up to the step before the last, which validates.
        found[name] = (steps - 1 - WARM) / (marks[steps - 1] - marks[WARM])
        found[f"{name} loss"] = next(value for _, key, value in result.history.rows if key == "loss")
    model = TwoStage(
        Tokenizer(networks["tokenizer"], torch.zeros(263), torch.ones(263)),
        networks["base"],
        networks["residual"],
    )
    text = torch.nn.utils.rnn.pad_sequence([rows[str(i)] for i in range(32)], batch_first=True)
    start = time.process_time()
    sampled = model.generate_codes(
        text,
        frames[:32].tolist(),
        sampling=Sampling(cfg=2.0, residual_cfg=2.0),
        generator=torch.Generator().manual_seed(0),
        batch=32,
    )
    found["sampling"] = 32 / (time.process_time() - start)
    found["sampling codes"] = hashlib.sha256(np.concatenate(sampled).tobytes()).hexdigest()
    print(json.dumps(found))


def main() -> None:
    """Run both sides in turn and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, nargs="?", help="checkout of another commit")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure()
        return
    if options.other is None or not (options.other / "hmu_tasks").is_dir():
        parser.error("name the folder of a checkout of another commit")
    sides = {"this": ROOT, "other": options.other.resolve()}
    results: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for turn in range(options.rounds):
        for side in sorted(sides, reverse=bool(turn % 2)):
            done = subprocess.run(
                [sys.executable, __file__, "--measure"],
                env=os.environ | {"PYTHONPATH": str(sides[side]), "OMP_NUM_THREADS": "1"},
                check=True,
                capture_output=True,
                text=True,
            )
            results[side].append(json.loads(done.stdout.splitlines()[-1]))
    for name in (*STEPS, "sampling"):
        speeds = {side: [one[name] for one in found] for side, found in results.items()}
        ratios = [a / b for a, b in zip(speeds["this"], speeds["other"], strict=True)]
        medians = ", ".join(f"{side} {statistics.median(found):.2f}/s" for side, found in speeds.items())
        exact = [key for key in results["this"][0] if key.startswith(f"{name} ")]
        same = all(
            one[key] == results["other"][0][key]
            for key in exact
            for found in results.values()
            for one in found
        )
        print(
            f"{name}: {medians}; this / other {statistics.median(ratios):.3f} "
            f"({min(ratios):.3f} to {max(ratios):.3f}); results {'equal' if same else 'DIFFER'}"
        )


if __name__ == "__main__":
    main()
