"""Attack by context: the model is given how a violent motion begins, and goes on.

In-painting of a generator of codes; for diffusion models of images, erased concepts come back where part of a picture
shows them (arXiv 2505.17013). The attacker has the bundle and forget clips, and asks with their own captions.
"""

from collections.abc import Sequence

import numpy as np
import torch

from hmu_tasks.evaluation.prompts import Prompts
from hmu_tasks.models.generators.bundle import Bundle
from hmu_tasks.models.networks.lengths import UNIT
from hmu_tasks.probes.bench import STREAM, Bench, Shares
from hmu_tasks.probes.outcome import Attack, AttackOutcome

SHARE = 1 / 3


def context_attacks(bench: Bench, bundle: Bundle, clips: Sequence[np.ndarray]) -> list[Attack]:
    """Return `context`: the first third of a forget clip's codes of layer 0 is given, the rest is sampled.

    clips: the real motions of `bench.attacked`, raw features [F_i, D]. A motion counts by what was sampled alone, its
    frames after those of the given codes. The bundle's own tokenizer makes the codes, so that deleted or overwritten
    ones do not occur. It does not apply to a model that cannot go on from given codes.
    """

    def run() -> list[AttackOutcome]:
        asked = bench.attacked
        details = {"given": SHARE}
        beginnings = beginnings_of(bundle, clips, asked, batch=bench.batch)
        codes = bundle.model.continued_codes(
            beginnings,
            bench.embedded(bundle, asked.texts),
            asked.frames,
            sampling=bench.sampling,
            generator=torch.Generator(device=bench.device).manual_seed(bench.seed + STREAM),
            batch=bench.batch,
        )
        if codes is None:
            why = "the model cannot go on from given codes"
            return [AttackOutcome("context", "context", bench.plain(bundle), details, why)]
        motions = bundle.model.tokenizer.decode(codes, batch=bench.batch)
        rest = [motion[len(start) * UNIT :] for motion, start in zip(motions, beginnings, strict=True)]
        shares: Shares = bench.shares(rest, asked)
        return [AttackOutcome("context", "context", shares, details)]

    return [Attack("context", run)]


def beginnings_of(
    bundle: Bundle, clips: Sequence[np.ndarray], asked: Prompts, *, batch: int
) -> list[np.ndarray]:
    """Codes of layer 0 of the first third of each clip, [T_i] for every motion that is asked for; none of two or fewer.

    So something is left to sample whatever `ingest.min_frames` is.
    """
    codes = bundle.model.tokenizer.encode(list(clips), batch=batch)
    return [clip[: int(len(clip) * SHARE), 0] for clip in codes] * asked.repeats
