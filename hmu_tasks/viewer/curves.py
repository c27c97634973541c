"""The report's points as plain tables, for `dvc plots` and any other program."""

from collections.abc import Sequence

import pandas as pd

from hmu_tasks.metrics import RESTORATION, SUPPRESSION
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.viewer.attacks import attacks
from hmu_tasks.viewer.inputs import ReportInputs
from hmu_tasks.viewer.table import CLASSIFIERS, Selection, strengths_of, worst


def tradeoff_table(inputs: ReportInputs) -> pd.DataFrame:
    """Violence against retain R@1 on the validation split, one row per method and strength; percentages for violence.

    Without action labels, forget FID replaces violence. series: model and method; selected: 1 for the
    strength that was selected.
    """
    columns = ("model", "method", "series", "strength", "selected", "violence", "forget_fid", "retain_r1")
    rows = []
    for one in _with_references(inputs):
        strengths: list[int | None] = [*strengths_of(inputs.records, method=one.method, model=one.model)]
        for strength in strengths or [None]:

            def mean(
                split: str, *metrics: str, one: Selection = one, strength: int | None = strength
            ) -> float | None:
                cell = worst(
                    inputs.records,
                    metrics,
                    method=one.method,
                    split=split,
                    model=one.model,
                    strength=strength,
                )
                return cell.mean if cell else None

            violence = mean("forget-val", *(names.corrected for names in CLASSIFIERS))
            kept = mean("retain-val", "r1")
            if kept is not None:
                rows.append(
                    (
                        one.model,
                        one.method,
                        f"{one.model} {one.method}",
                        strength or 0,
                        int(strength == one.strength),
                        None if violence is None else 100 * violence,
                        mean("forget-val", "fid"),
                        kept,
                    )
                )
    return pd.DataFrame(rows, columns=columns)


def attack_table(inputs: ReportInputs) -> pd.DataFrame:
    """The most successful attack of each family on every selected edit, in per cent with its 95 % limits."""
    columns = ("model", "method", "series", "family", "attack", "success", "low", "high", "n")
    rows = []
    everything = _with_references(inputs)
    for one in everything:
        found = attacks(inputs.probes, everything, model=one.model)
        column = (one.method, one.strength)
        families: dict[str, list[tuple[float, str]]] = {}
        cells = {row.name: row.cells[column] for row in found.rows if column in row.cells}
        for row in found.rows:
            if row.family not in (SUPPRESSION, RESTORATION) and row.name in cells:
                families.setdefault(row.family, []).append((-cells[row.name].mean, row.name))
        for family, members in families.items():
            _, name = min(members, key=lambda pair: pair[0])
            cell = cells[name]
            rates = [100 * value for value in (cell.mean, cell.low, cell.high)]
            rows.append((one.model, one.method, f"{one.model} {one.method}", family, name, *rates, cell.n))
    return pd.DataFrame(rows, columns=columns)


def as_csv(frame: pd.DataFrame) -> str:
    """Write a table as CSV with nine significant digits."""
    return str(frame.to_csv(index=False, lineterminator="\n", float_format="%.9g"))


def _with_references(inputs: ReportInputs) -> list[Selection]:
    """The references and the selected edits of every model, the references first."""
    chosen: Sequence[Selection] = (inputs.selection, *inputs.others)
    found = []
    for model in dict.fromkeys(one.model for one in chosen):
        found += [Selection(end, None, "", model=model) for end in ENDS]
        found += [one for one in chosen if one.model == model and one.method != "original"]
    return found
