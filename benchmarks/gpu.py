"""Training, sampling, encoding and evaluation at official sizes on one GPU, beside the released code.

    python benchmarks/gpu.py [--momask FOLDER] [--bamm FOLDER] [--only NAMES] [--write FILE]
    python benchmarks/gpu.py --toy --device cpu        # every line of it at a tiny size

All sides run in one call, on random motion of HumanML3D's shape that is already on the device; `gpu_released.py` says
how the released code is driven. Prints card, versions and tables that are ready for docs/performance.md. Training is
measured over whole calls of the training loop: with recorded graphs, without, and with layers by `torch.compile`;
`scatter` compares the loss of the first steps with the plain path of ragged batches, over seeds; `stages` runs every
stage of a pipeline as a process and watches its memory (`gpu_stages.py`).
NAMES: train, sample, encode, evaluate, figures, scatter, stages.
"""

import argparse
import sys
from pathlib import Path

import torch
from gpu_bench import TOY, Bench, Size
from gpu_released import Released
from gpu_sampling import encoding, evaluating, figures, sampling
from gpu_stages import stages
from gpu_training import scattered, training

from hmu_tasks.models.generators.masked import MaskTransformerConfig
from hmu_tasks.models.networks.device import pick_device
from hmu_tasks.models.tokenizer.rvq import TokenizerConfig

SECTIONS = {
    "train": training,
    "sample": sampling,
    "encode": encoding,
    "evaluate": evaluating,
    "figures": figures,
    "scatter": scattered,
    "stages": stages,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument(
        "--toy", action="store_true", help="tiny sizes: a test of this script, no measurement"
    )
    parser.add_argument("--momask", type=Path, help="checkout of the released MoMask code")
    parser.add_argument("--bamm", type=Path, help="checkout of the released BAMM code")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, separated by commas")
    parser.add_argument("--steps", type=int, help="measured steps of each training")
    parser.add_argument("--write", type=Path, help="file for the table")
    options = parser.parse_args()
    unknown = set(options.only.split(",")) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown sections {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    size = TOY if options.toy else Size(False)
    if options.steps:
        size = Size(**{**vars(size), "steps": options.steps})

    def released(
        tokenizer: TokenizerConfig, base: MaskTransformerConfig, device: torch.device
    ) -> dict[str, Released]:
        given = {"momask": options.momask, "bamm": options.bamm}
        return {
            name: Released(folder, name, tokenizer, base, device) for name, folder in given.items() if folder
        }

    bench = Bench(size, pick_device(options.device), released)
    for name in options.only.split(","):
        SECTIONS[name](bench)
    text = bench.table(sys.argv)
    print(text)
    if options.write is not None:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
