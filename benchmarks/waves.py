"""Share of waving motions, by a rule on the joints: for the preset `bvh`, whose concept has no classifier.

    python benchmarks/waves.py

Run it in a project where `dvc repro` has run with the preset. Covers the test clips of the forget and retain sets, and
the motions that each bundle generates for their captions (sampled as in `evaluate`). A motion waves if, in its middle
three fifths, a wrist is above its shoulder for at least half the time and reverses its sideways direction at least four
times, by 5 cm or more each time. Small waves from the wrist alone do not count, as the 22 joints do not show them.
"""

import sys
from pathlib import Path

import numpy as np

from hmu_tasks.config.params import load
from hmu_tasks.data.clips import packed
from hmu_tasks.data.clips.id_lists import ROLES, read_ids
from hmu_tasks.data.motion.features import to_joints
from hmu_tasks.data.motion.skeleton import JOINTS
from hmu_tasks.evaluation.generation import cached_codes
from hmu_tasks.evaluation.prompts import Prompts, caption_prompts
from hmu_tasks.evaluation.session import STEP
from hmu_tasks.models.generators.bundle import load_bundle
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.networks.device import pick_device
from hmu_tasks.runtime import paths
from hmu_tasks.training.loop.batches import clip_set

TURNS, LEAST, ABOVE = 4, 0.05, 0.5


def turns(positions: np.ndarray, least: float = LEAST) -> int:
    """Count the reversals of a coordinate by at least `least` metres each."""
    count, direction, last = 0, 0, positions[0]
    for position in positions[1:]:
        if (direction >= 0 and position < last - least) or (direction <= 0 and position > last + least):
            count, direction, last = count + (direction != 0), -1 if position < last else 1, position
        elif (position - last) * direction > 0:
            last = position
    return count


def waves(features: np.ndarray) -> bool:
    """Whether a motion [F, 263] waves."""
    joints = to_joints(np.array(features))
    middle = joints[len(joints) // 5 : len(joints) - len(joints) // 5]
    for side in ("left", "right"):
        wrist = middle[:, JOINTS.index(f"{side}_wrist")] - middle[:, JOINTS.index(f"{side}_shoulder")]
        if (wrist[:, 1] > 0).mean() >= ABOVE and turns(wrist[:, 0]) >= TURNS:
            return True
    return False


def main() -> None:
    """Print the share of waving motions in the data and from each bundle."""
    params = load()
    device = pick_device(params.run.device)
    knobs = params.evaluate
    clips = packed.load(paths.CLIPS)
    prompts: dict[str, Prompts] = {}
    for name in ROLES:
        ids = read_ids(paths.SPLIT, "test", name)
        prompts[name] = caption_prompts(clip_set(clips, ids), repeats=knobs.repeats, seed=params.run.seed)
        share = np.mean([waves(clips.features(clip_id)) for clip_id in ids])
        sys.stdout.write(f"real, {name}: {share:.1%} of {len(ids)}\n")
    folders = [
        folder
        for model in params.models
        for folder in sorted(paths.edits(model, "lcr").parent.glob("*/*-s0"))
    ]
    references = [paths.edits(model, method) / "s0" for model in params.models for method in params.methods]
    for folder in [path for path in references if path.is_dir()] + folders:
        bundle = load_bundle(folder, device)
        for name, asked in prompts.items():
            codes = [
                code
                for repeat in range(asked.repeats)
                for code in cached_codes(
                    bundle,
                    asked.only(repeat),
                    sampling=Sampling(**knobs.sampling.model_dump()),
                    seed=params.run.seed + sum(name.encode()) + STEP * repeat,
                    batch=knobs.batch,
                    device=device,
                    cache=paths.CACHE,
                )
            ]
            made = bundle.model.tokenizer.decode(codes, batch=knobs.batch)
            share = np.mean([waves(motion) for motion in made])
            place = Path(*folder.parts[-3:]).as_posix()
            sys.stdout.write(f"{place}, {name}: {share:.1%} of {len(made)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
