"""Step `codebook`: encode the training split, count which codes forget and retain clips use, score the codes."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from hmu_tasks.config.params import Params
from hmu_tasks.data.clips import packed
from hmu_tasks.data.clips.id_lists import ROLES, Role, read_ids
from hmu_tasks.data.concepts.concepts import load_concept
from hmu_tasks.data.concepts.matching import match
from hmu_tasks.methods.shared import codes
from hmu_tasks.methods.shared.codes import TABLES, CodeUsage
from hmu_tasks.methods.shared.encoded import save_codes
from hmu_tasks.models.networks.device import pick_device
from hmu_tasks.models.networks.weights import digest
from hmu_tasks.models.tokenizer.tokenizer import load_tokenizer
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.runtime.files import replacing_folder, write_json
from hmu_tasks.training.loop.coded import coded_clips


def run(params: Params) -> None:
    """Encode the training clips and count their codes.

    Writes codes.safetensors, usage.parquet (a row per layer and code: counts, published ratio, log-odds z) and
    codebook.json.
    """
    clips = packed.load(paths.CLIPS)
    ids = {role: read_ids(paths.SPLIT, "train", role) for role in ROLES}
    folder = paths.component("tokenizer", "full")
    tokenizer = load_tokenizer(folder, pick_device(params.run.device))
    coded = coded_clips(clips, tokenizer, digest=digest(folder), cache=paths.CACHE)
    found = [coded[i] for i in ids["forget"] + ids["retain"]]
    forget = np.arange(len(found)) < len(ids["forget"])
    usage = codes.count_codes(found, forget, tokenizer.codebooks.shape[1])
    scores = {
        "ratio": codes.published_ratio(usage),
        "log_odds_z": codes.log_odds_z(usage, prior=params.codebook.prior * usage.codes),
    }
    layer, code = np.indices((usage.layers, usage.codes))
    columns = {"layer": layer, "code": code} | {name: getattr(usage, name) for name in TABLES} | scores
    table = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
    parts = {
        name: _counts_of(params, name, clips.captions, ids, found, usage.codes)
        for name in params.unlearn.lcr.parts
    }
    both = {role: codes.perplexity(getattr(usage, f"{role}_count")) for role in ("forget", "retain")}
    both["all"] = codes.perplexity(usage.forget_count + usage.retain_count)
    with replacing_folder(paths.codebook()) as folder:
        save_codes(found, folder)
        table.to_parquet(folder / codes.usage_file(), index=False)
        for name, counted in parts.items():
            numbers = {"layer": layer, "code": code} | {key: getattr(counted, key) for key in TABLES}
            rows = pd.DataFrame({key: values.ravel() for key, values in numbers.items()})
            rows.to_parquet(folder / codes.usage_file(name), index=False)
        write_json(
            folder / "codebook.json",
            {
                "codes": usage.codes,
                "layers": usage.layers,
                "prior": params.codebook.prior,
                "forget": usage.forget,
                "retain": usage.retain,
                "parts": {name: counted.forget for name, counted in parts.items()},
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


def _counts_of(
    params: Params,
    concept: str,
    captions: pd.DataFrame,
    ids: Mapping[Role, Sequence[str]],
    found: Sequence[np.ndarray],
    size: int,
) -> CodeUsage:
    """Count a part of the forget set, the clips with a caption that matches a concept, against the retain set.

    ids: names of the forget and of the retain clips; found: codes [T_i, Q] of both, in that order; size: K.
    """
    known = load_concept(concept, params.filter.concepts, key="unlearn.lcr.parts")
    hits = match(captions, known, dataset=params.run.dataset, rule=params.filter.rule)
    named = {clip for clip, words in zip(captions["clip_id"], hits, strict=True) if words}
    part = [i for i, clip in enumerate(ids["forget"]) if clip in named]
    if not part:
        raise DataError(f"unlearn.lcr.parts names {concept}, but no forget clip matches it; remove it")
    rows = [*part, *range(len(ids["forget"]), len(found))]
    return codes.count_codes([found[i] for i in rows], np.arange(len(rows)) < len(part), size)
