"""Print the number of clips and captions that each rule of a concept matches, as Markdown tables.

python benchmarks/filter_table.py TEXTS [--splits SPLITS] [--concept violence] [--dataset humanml3d] [--matches 1]

TEXTS: a folder of text files in HumanML3D's layout (texts/ID.txt), or a parquet file with the columns id, caption,
tokens and split. SPLITS: a folder with train.txt, val.txt and test.txt, or a CSV file with the columns id and split.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from hmu_tasks.data.clips.clips import SPLITS
from hmu_tasks.data.concepts.concepts import RULES, Concept, load_concept
from hmu_tasks.data.concepts.matching import match
from hmu_tasks.data.datasets.caption_files import parse_line, read_lines
from hmu_tasks.data.division.comparison import keyword_hits
from hmu_tasks.data.division.partition import choose
from hmu_tasks.runtime.errors import DataError, HmuError


def read_texts(source: Path) -> pd.DataFrame:
    """Read captions: columns clip_id, line (from 0), caption, tokens, and split if the source has it."""
    if source.suffix == ".parquet":
        return pd.read_parquet(source).rename(columns={"id": "clip_id", "caption_idx": "line"})
    rows = []
    for path in sorted(source.glob("*.txt")):
        captions = [parse_line(line) for line in read_lines(path) if line.strip()]
        rows += [(path.stem, line, caption.text, caption.tokens) for line, caption in enumerate(captions)]
    if not rows:
        raise DataError(
            f"{source} holds no text files; give the folder texts/ of a dataset in HumanML3D's layout"
        )
    return pd.DataFrame(rows, columns=["clip_id", "line", "caption", "tokens"])


def read_splits(source: Path) -> dict[str, str]:
    """Read the split of each clip id."""
    if source.is_dir():
        lists = {
            split: (source / f"{split}.txt").read_text(encoding="utf-8").splitlines() for split in SPLITS
        }
        return {name: split for split, names in lists.items() for name in names}
    with source.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row["split"] for row in csv.DictReader(file)}


def tables(captions: pd.DataFrame, concept: Concept, dataset: str, *, matches: int) -> str:
    """Markdown: clips and captions per split and rule, agreement, and hits per keyword."""
    clips = captions.drop_duplicates("clip_id")[["clip_id", "split"]].assign(
        source=lambda table: table["clip_id"]
    )
    hits = {rule: match(captions, concept, dataset=dataset, rule=rule) for rule in RULES}
    chosen = {rule: choose(captions, clips, hits[rule], matches=matches) for rule in RULES}
    lines = [
        "| split | clips | captions | forget, substring | forget, lemma | of those, captions without keyword (lemma) |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    present = [name for name in (*SPLITS, "none") if (clips["split"] == name).any()]
    for split in [*present, "all"]:
        here = (clips["split"] == split).to_numpy() | (split == "all")
        cells = [f"{chosen[rule][here].sum():,} ({chosen[rule][here].mean():.2%})" for rule in RULES]
        listed = captions["clip_id"].isin(clips.loc[here, "clip_id"])
        theirs = captions["clip_id"].isin(clips.loc[here & chosen["lemma"], "clip_id"])
        bare = theirs & ~np.array([bool(found) for found in hits["lemma"]])
        share = f"{bare.sum():,} of {theirs.sum():,} ({bare.sum() / max(1, theirs.sum()):.1%})"
        lines.append(f"| {split} | {here.sum():,} | {listed.sum():,} | {cells[0]} | {cells[1]} | {share} |")
    only = (chosen["substring"] & ~chosen["lemma"]).sum(), (chosen["lemma"] & ~chosen["substring"]).sum()
    lines += ["", f"Only by substring: {only[0]:,} clips; only by lemma: {only[1]:,} clips.", ""]
    for rule in RULES:
        found = keyword_hits(captions, concept.keywords(rule, dataset), hits[rule])
        ranked = sorted(found.items(), key=lambda item: -item[1]["captions"])
        named = [f"`{word}` {count['captions']:,}" for word, count in ranked if count["captions"]]
        lines += [f"Captions per keyword, {rule}: {', '.join(named) or 'none'}.", ""]
    return "\n".join(lines).rstrip()


def main() -> int:
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("texts", type=Path)
    parser.add_argument("--splits", type=Path)
    parser.add_argument("--concept", default="violence")
    parser.add_argument("--dataset", default="humanml3d")
    parser.add_argument("--matches", type=int, default=1)
    given = parser.parse_args()
    try:
        captions = read_texts(given.texts)
        if given.splits is not None:
            captions["split"] = captions["clip_id"].map(read_splits(given.splits))
        elif "split" not in captions:
            captions["split"] = None
        captions["split"] = captions["split"].fillna("none").replace("", "none")
        print(tables(captions, load_concept(given.concept), given.dataset, matches=given.matches))
    except HmuError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
