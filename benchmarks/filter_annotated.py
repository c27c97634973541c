"""Print precision and recall of both rules of the concept violence on hand-labelled captions.

python benchmarks/filter_annotated.py [--annotated FILE.csv] [--humanml3d TEXTS] [--kitml TEXTS]

TEXTS: as for filter_table.py. The labelled captions are a stratified sample: each has the weight stratum_size /
(labelled captions in the stratum and half), and precision and recall are weighted. Their intervals are Wilson's at
Kish's effective sample size, (sum of weights)^2 / sum of squared weights, rounded to an integer.
"""

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from filter_table import read_texts
from numpy.typing import NDArray

from hmu_tasks.data.concepts.concepts import RULES, load_concept
from hmu_tasks.data.concepts.matching import match
from hmu_tasks.metrics.stats import Interval, wilson_interval
from hmu_tasks.runtime.errors import DataError, HmuError

CONCEPT = "violence"
ANNOTATED = Path(__file__).resolve().parents[1] / "tests" / "data" / "concepts" / "annotated_captions.csv"


def read_annotated(source: Path) -> pd.DataFrame:
    """Captions: dataset, clip_id, line, digest, stratum, stratum_size, half, violent (bool), reason, weight."""
    annotated = pd.read_csv(source, dtype={"clip_id": str})
    annotated["violent"] = annotated["violent"] == "yes"
    group = annotated.groupby(["dataset", "stratum", "half"])
    annotated["weight"] = annotated["stratum_size"] / group["line"].transform("size")
    return annotated


def with_hits(annotated: pd.DataFrame, texts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Labelled captions of the datasets in `texts`, with a column per rule; raises DataError if a caption differs."""
    parts = []
    for dataset, captions in texts.items():
        rows = annotated[annotated["dataset"] == dataset].merge(captions, on=["clip_id", "line"], how="left")
        found = [
            isinstance(text, str) and digest(text) == d
            for text, d in zip(rows["caption"], rows["digest"], strict=True)
        ]
        if not all(found):
            first = rows[~np.array(found)].iloc[0]
            raise DataError(
                f"{dataset}: caption {first['line']} of clip {first['clip_id']} is missing or is not the annotated one "
                f"({len(found) - sum(found)} of {len(found)}); give the texts as their authors published them"
            )
        for rule in RULES:
            rows[rule] = [bool(hit) for hit in match(rows, load_concept(CONCEPT), dataset=dataset, rule=rule)]
        parts.append(rows)
    return pd.concat(parts, ignore_index=True)


def digest(caption: str) -> str:
    """Digest of a caption's letters in lower case; spaces, punctuation and case are ignored."""
    letters = "".join(letter for letter in caption.casefold() if letter.isalpha())
    return hashlib.sha256(letters.encode()).hexdigest()[:10]


def weighted_share(good: NDArray[np.bool_], weight: NDArray[np.float64]) -> Interval | None:
    """Weighted share of `good` with Wilson's interval at the effective sample size; None without captions."""
    if not len(weight):
        return None
    effective = max(1, round(float(weight.sum() ** 2 / (weight**2).sum())))
    share = float(weight[good].sum() / weight.sum())
    limits = wilson_interval(round(share * effective), effective)
    return Interval(share, min(share, limits.low), max(share, limits.high), len(weight), 1)


def quality(rows: pd.DataFrame, rule: str) -> dict[str, Interval | None]:
    """Weighted precision (violent among hits) and recall (hits among violent) of a rule."""
    hit, violent = rows[rule].to_numpy(bool), rows["violent"].to_numpy(bool)
    weight = rows["weight"].to_numpy(float)
    return {
        "precision": weighted_share(violent[hit], weight[hit]),
        "recall": weighted_share(hit[violent], weight[violent]),
    }


def tables(rows: pd.DataFrame) -> str:
    """Markdown: precision and recall per half, dataset and rule, and the labels per stratum."""
    lines = ["| captions | half | rule | precision | n | recall | n |", "|---|---|---|---|---:|---|---:|"]
    datasets = sorted(rows["dataset"].unique())
    for half in ("report", "tune"):
        for name in [*(["all"] if len(datasets) > 1 else []), *datasets]:
            here = rows[(rows["half"] == half) & (rows["dataset"].eq(name) | (name == "all"))]
            for rule in RULES:
                found = quality(here, rule)
                cells = [f"{_percent(found[key])} | {_number(found[key])}" for key in ("precision", "recall")]
                lines.append(f"| {name} | {half} | {rule} | {cells[0]} | {cells[1]} |")
    lines += [
        "",
        "| captions | stratum | size | annotated | violent | violent and found by substring | by lemma |",
    ]
    lines.append("|---|---|---:|---:|---:|---:|---:|")
    for (dataset, stratum), part in rows.groupby(["dataset", "stratum"]):
        bad = part[part["violent"]]
        counts = [
            part["stratum_size"].iloc[0],
            len(part),
            len(bad),
            *(bad[rule].sum() for rule in ("substring", "lemma")),
        ]
        lines.append(f"| {dataset} | {stratum} | " + " | ".join(f"{count:,}" for count in counts) + " |")
    return "\n".join(lines)


def _percent(share: Interval | None) -> str:
    return "–" if share is None else f"{share.mean:.1%} ({share.low:.1%} to {share.high:.1%})"


def _number(share: Interval | None) -> str:
    return "0" if share is None else str(share.n)


def main() -> int:
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--annotated", type=Path, default=ANNOTATED)
    parser.add_argument("--humanml3d", type=Path)
    parser.add_argument("--kitml", type=Path)
    given = parser.parse_args()
    sources = {
        name: getattr(given, name) for name in ("humanml3d", "kitml") if getattr(given, name) is not None
    }
    if not sources:
        parser.error("give --humanml3d or --kitml, or both")
    try:
        texts = {name: read_texts(source) for name, source in sources.items()}
        print(tables(with_hits(read_annotated(given.annotated), texts)))
    except HmuError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
