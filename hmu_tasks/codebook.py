"""Step `codebook`: encode the training split, count which codes forget and retain clips use, score the codes."""

import numpy as np
import pandas as pd

from hmu_tasks import paths
from hmu_tasks.data import packed
from hmu_tasks.files import replacing_folder, write_json
from hmu_tasks.methods import codes
from hmu_tasks.methods.codes import TABLES, CodeUsage
from hmu_tasks.models.device import pick_device
from hmu_tasks.models.store import load_tokenizer
from hmu_tasks.params import Params
from hmu_tasks.training.batches import clip_set


def run(params: Params) -> None:
    """Write usage.parquet (a row per layer and code: counts, published ratio, log-odds z) and codebook.json."""
    clips = packed.load(paths.CLIPS)
    ids = {
        role: (paths.SPLIT / f"train-{role}.txt").read_text(encoding="utf-8").splitlines()
        for role in ("forget", "retain")
    }
    chosen = clip_set(clips, ids["forget"] + ids["retain"])
    tokenizer = load_tokenizer(paths.component("tokenizer", "full"), pick_device(params.run.device))
    found = tokenizer.encode(chosen.features, batch=params.codebook.batch)
    forget = np.arange(len(found)) < len(ids["forget"])
    usage = codes.count_codes(found, forget, tokenizer.codebooks.shape[1])
    scores = {
        "ratio": codes.published_ratio(usage),
        "log_odds_z": codes.log_odds_z(usage, prior=params.codebook.prior * usage.codes),
    }
    layer, code = np.indices((usage.layers, usage.codes))
    columns = {"layer": layer, "code": code} | {name: getattr(usage, name) for name in TABLES} | scores
    table = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
    both = {role: codes.perplexity(getattr(usage, f"{role}_count")) for role in ("forget", "retain")}
    both["all"] = codes.perplexity(usage.forget_count + usage.retain_count)
    with replacing_folder(paths.CODEBOOK) as folder:
        table.to_parquet(folder / "usage.parquet", index=False)
        write_json(
            folder / "codebook.json",
            {
                "codes": usage.codes,
                "layers": usage.layers,
                "prior": params.codebook.prior,
                "forget": usage.forget,
                "retain": usage.retain,
                "perplexity": {role: values.tolist() for role, values in both.items()},
                "mostly_forget": _mostly_forget(usage).tolist(),
            },
        )


def _mostly_forget(usage: CodeUsage) -> np.ndarray:
    """Per layer, how many codes occur in a larger share of forget clips than ten times their share of retain clips."""
    share_forget = usage.forget_clips / max(usage.forget, 1)
    share_retain = usage.retain_clips / max(usage.retain, 1)
    count: np.ndarray = ((usage.forget_clips >= 3) & (share_forget > 10 * share_retain)).sum(axis=1)
    return count
