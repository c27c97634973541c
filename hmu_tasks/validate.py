"""Step `validate`: check the data contracts on the packed clips and their split; a broken one stops the pipeline."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hmu_tasks.config.params import Params
from hmu_tasks.data.clips.clips import SPLITS
from hmu_tasks.data.clips.id_lists import ROLES, read_ids
from hmu_tasks.data.clips.packed import read_table
from hmu_tasks.data.contracts import tables
from hmu_tasks.data.contracts.expectations import ContractLimits, SuiteResult, as_record, check
from hmu_tasks.data.datasets import dataset_named
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import ContractError, DataError
from hmu_tasks.runtime.files import replacing, replacing_folder, write_json
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.viewer.validation import write_site

CLIPS_SHOWN = 5
REMEMBERED = 50  # validations on the site


def run(params: Params, progress: Progress | None = None) -> Path:
    """Check data/clips/ and data/split/, write data/validation.json and the site in runs/side/validation/.

    Raises ContractError with a table of the broken contracts, after writing the site; data/validation.json is written
    only if every contract holds.
    """
    dataset = dataset_named(params.run.dataset)
    limits = ContractLimits(
        frames=(params.ingest.min_frames, params.ingest.max_frames),
        fps=params.ingest.fps or dataset.fps,
        width=dataset.width,
        mirrored=dataset.mirrored,
        tagged=dataset.tagged,
        bone_drift=params.validate_.bone_drift,
        root_height=params.validate_.root_height,
        forget_share=params.validate_.forget_share,
        token_share=params.validate_.token_share,
    )
    validate_folders(
        paths.CLIPS, paths.SPLIT, paths.VALIDATION, paths.VALIDATION_SITE, limits, progress=progress
    )
    return paths.VALIDATION


def validate_folders(
    clips_folder: Path,
    split_folder: Path,
    target: Path,
    site: Path,
    limits: ContractLimits,
    *,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Check packed clips and split lists; see `run`. Raises DataError if a file is missing or damaged."""
    clips = read_table(clips_folder / "clips.parquet")
    captions = read_table(clips_folder / "captions.parquet")
    checked = {
        "clips": tables.clip_table(clips, captions),
        "captions": tables.caption_table(captions, clips, tagged=limits.tagged),
        "features": _statistics(clips_folder / "features.npy", clips, limits.width, progress),
        "split": tables.split_table(clips, _lists(split_folder)),
    }
    results = check(checked, limits)
    record = as_record(results, limits)
    broken = sum(not contract.success for suite in results for contract in suite.contracts)
    with replacing_folder(site) as folder:
        write_site(record, folder, _remembered(site.with_name(f"{site.name}-history.jsonl"), results))
        write_json(folder / "validation.json", record)
    if broken:
        page = (site / "index.html").resolve().as_uri()
        total = sum(len(suite.contracts) for suite in results)
        raise ContractError(
            f"{broken} of {total} data contracts are broken:\n\n{_table(results)}\n\n"
            f"Details: {page}\nRepair these clips in the raw dataset or remove them from its split lists, "
            "or change the limits under `validate` in params.yaml."
        )
    write_json(target, record)
    return record


def _remembered(place: Path, results: Sequence[SuiteResult]) -> list[dict[str, Any]]:
    """Add this validation to those of this checkout, and return the last ones; a damaged line is dropped."""
    now = {
        "when": time.strftime("%Y-%m-%d %H:%M:%S%z"),
        "broken": sum(not contract.success for suite in results for contract in suite.contracts),
        "total": sum(len(suite.contracts) for suite in results),
        "rows": {suite.name: suite.rows for suite in results},
    }
    before = []
    for line in place.read_text(encoding="utf-8", errors="replace").splitlines() if place.exists() else ():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and found.keys() == now.keys():
            before.append(found)
    history = [*before[1 - REMEMBERED :], now]
    with replacing(place) as temporary:
        temporary.write_text("".join(f"{json.dumps(one)}\n" for one in history), encoding="utf-8")
    return history


def _statistics(path: Path, clips: pd.DataFrame, width: int, progress: Progress | None) -> pd.DataFrame:
    try:
        return tables.feature_table(path, clips, width=width, progress=progress)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; run the ingest step first") from error
    except DataError as error:
        raise DataError(f"{path} {error}; run the ingest step again") from error


def _lists(folder: Path) -> dict[tuple[str, str], list[str]]:
    return {(split, role): read_ids(folder, split, role) for split in SPLITS for role in ROLES}


def _table(results: tuple[SuiteResult, ...]) -> str:
    rows = [("suite", "contract", "column", "breaking", "first clips")]
    for suite in results:
        for contract in suite.contracts:
            if contract.success:
                continue
            if contract.observed is not None:
                number = f"observed {contract.observed:g}"
            else:
                number = (
                    "unknown"
                    if contract.unexpected is None
                    else f"{contract.unexpected} of {contract.checked}"
                )
            clips = ", ".join(contract.clips[:CLIPS_SHOWN]) + (
                ", …" if len(contract.clips) > CLIPS_SHOWN else ""
            )
            rows.append(
                (suite.name, contract.contract, contract.column, number, contract.problem or clips or "-")
            )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[4]]) for row in rows
    )
