"""Does codebook size decide how much LCR damages safe motion? Compared over several tokenizer seeds.

    python -m hmu_tasks preset tokenizer_seeds
    dvc exp run --queue -S 'train.tokenizer.codes=256,512' -S 'train.tokenizer.seed=0,1,2'
    dvc queue start
    python benchmarks/tokenizer_seeds.py $(dvc exp list --name-only)

Each experiment retrains the tokenizers, the text encoder, the models and D_r; data, evaluator, all other seeds and the
selection rule are the same. Prints a Markdown table with a row per experiment and one per codebook size (mean and
standard deviation over seeds); an argument may be any git revision whose outputs are in DVC's cache.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import dvc.api

VIOLENCE, CLOSED = "violence_corrected", "gap_closure:violence"


@dataclass(frozen=True)
class Row:
    """Metrics of one experiment on the test split; rates and gap closures in per cent, errors in mm."""

    error: float
    violence: float
    retrain: float
    r1: float
    gold_r1: float
    replaced: float
    left: float
    closed: float
    lost: float
    fid: float
    gold_fid: float


HEADS = {
    "error": ("tokenizer error mm", 1),
    "violence": ("violence % original", 1),
    "retrain": ("D_r", 1),
    "r1": ("retain R@1 original", 3),
    "gold_r1": ("D_r", 3),
    "replaced": ("K picked", 0),
    "left": ("violence % LCR", 1),
    "closed": ("gap closed %", 0),
    "lost": ("R@1 lost", 3),
    "fid": ("forget FID LCR", 2),
    "gold_fid": ("D_r", 2),
}


def read(rev: str) -> tuple[int, int, Row]:
    """Number of codes, seed and metrics of one experiment."""
    tokenizer = dvc.api.params_show(rev=rev)["train"]["tokenizer"]
    records = json.loads(dvc.api.read("reports/benchmark.json", rev=rev))
    strength = json.loads(dvc.api.read("runs/evaluate/momask/lcr/selection.json", rev=rev))["strength"]

    def mean(method: str, split: str, metric: str) -> float:
        found = [
            record["mean"]
            for record in records
            if (record["method"], record["split"], record["metric"]) == (method, split, metric)
            and record["strength"] in (None, strength)
        ]
        return statistics.fmean(found)

    original = mean("original", "retain", "r1")
    row = Row(
        error=1000 * mean("reconstruction-full", "retain", "mpjpe"),
        violence=100 * mean("original", "forget", VIOLENCE),
        retrain=100 * mean("retrain", "forget", VIOLENCE),
        r1=original,
        gold_r1=mean("retrain", "retain", "r1"),
        replaced=strength,
        left=100 * mean("lcr", "forget", VIOLENCE),
        closed=100 * mean("lcr", "forget", CLOSED),
        lost=original - mean("lcr", "retain", "r1"),
        fid=mean("lcr", "forget", "fid"),
        gold_fid=mean("retrain", "forget", "fid"),
    )
    return tokenizer["codes"], tokenizer["seed"], row


def table(found: Sequence[tuple[int, int, Row]]) -> str:
    """Markdown: a row per experiment, then mean and standard deviation per codebook size."""
    names = [field.name for field in fields(Row)]
    lines = [
        "| codes | seed | " + " | ".join(HEADS[name][0] for name in names) + " |",
        "|---:|---:|" + "---:|" * len(names),
    ]
    for codes, seed, row in sorted(found, key=lambda one: one[:2]):
        cells = [f"{getattr(row, name):.{HEADS[name][1]}f}" for name in names]
        lines.append(f"| {codes} | {seed} | " + " | ".join(cells) + " |")
    for codes in sorted({one[0] for one in found}):
        rows = [row for size, _, row in found if size == codes]
        if len(rows) > 1:
            cells = [spread([getattr(row, name) for row in rows], HEADS[name][1]) for name in names]
            lines.append(f"| {codes} | mean ± sd of {len(rows)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(values: Sequence[Any], digits: int) -> str:
    """Mean and standard deviation."""
    return f"{statistics.fmean(values):.{digits}f} ±{statistics.stdev(values):.{digits}f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revisions", nargs="+")
    print(table([read(rev) for rev in parser.parse_args().revisions]))


if __name__ == "__main__":
    main()
