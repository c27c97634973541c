"""The data contracts as Great Expectations suites, defined in code and run in an ephemeral context."""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import pandas as pd

with warnings.catch_warnings():
    # Great Expectations 1.24 imports a deprecated standard-library module.
    warnings.simplefilter("ignore", DeprecationWarning)
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.row_conditions import Column

CLIPS_NAMED: Final = 20
FEW: Final = 4  # different values of a column that are listed
TWINS: Final = ("twin_present", "twin_same_split", "twin_same_side")


@dataclass(frozen=True)
class ContractLimits:
    """Thresholds of the contracts.

    frames: minimum clip length, and exclusive maximum. fps: frames per second. width: features per frame. mirrored:
    whether the dataset has mirrored twins. tagged: whether either all or none of its captions have tokens.
    bone_drift: largest relative spread of a bone's length within a clip. root_height: lowest and highest pelvis, in
    metres. forget_share: smallest and largest share of forget clips in the training split. token_share: share of
    captions that must have as many tokens as words; real text files contain a few tagger errors.
    """

    frames: tuple[int, int] = (40, 200)
    fps: float = 20.0
    width: int = 263
    mirrored: bool = True
    tagged: bool = True
    bone_drift: float = 0.02
    root_height: tuple[float, float] = (0.0, 2.5)
    forget_share: tuple[float, float] = (0.02, 0.30)
    token_share: float = 0.99


@dataclass(frozen=True)
class ContractResult:
    """Result of one contract: the expectation, its column, how many rows break it, and the first such clips.

    observed: the value that a contract on a whole column compares. seen: what the column holds, in words.
    """

    contract: str
    expectation: str
    column: str
    kwargs: dict[str, Any]
    success: bool
    checked: int
    unexpected: int | None
    observed: float | None
    seen: str
    clips: tuple[str, ...]
    problem: str | None


@dataclass(frozen=True)
class SuiteResult:
    """Result of a suite on one table."""

    name: str
    rows: int
    success: bool
    contracts: tuple[ContractResult, ...]


def suites(limits: ContractLimits) -> dict[str, list[Any]]:
    """Expectations by suite name; each carries its contract in plain words as metadata."""
    short, long = limits.frames
    low, high = limits.root_height
    least, most = limits.forget_share
    found: dict[str, list[Any]] = {
        "clips": [
            _filled("clip_id", "every clip has an id"),
            _unique("clip_id", "clip ids are unique"),
            _one_of("split", ["train", "val", "test"], "every clip belongs to train, val or test"),
            _between("frames", short, long, f"clips have {short} to {long - 1} frames", strict_max=True),
            _one_of("fps", [limits.fps], f"clips run at {limits.fps:g} frames per second"),
            _one_of("gap", [0], "clips lie end to end in the packed features"),
            _between("captions", 1, None, "every clip has a caption"),
            _true("twin_present", "the original of a mirrored clip is there"),
            _true("twin_same_split", "a mirrored clip is in its original's split"),
        ],
        "captions": [
            _true("clip_known", "every caption belongs to a clip"),
            _filled("caption", "no caption is missing"),
            _between("letters", 1, None, "no caption is empty"),
            gxe.ExpectColumnValuesToMatchRegex(
                column="tokens",
                regex=r"^[^\s/]+/[A-Z]+(?: [^\s/]+/[A-Z]+)*$",
                mostly=limits.token_share,
                meta={"contract": f"tokens read word/TAG ({limits.token_share:.0%} of captions)"},
            ),
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="token_count",
                column_B="words",
                ignore_row_if="either_value_is_missing",
                mostly=limits.token_share,
                meta={"contract": f"as many tokens as words ({limits.token_share:.0%} of captions)"},
            ),
        ],
        "features": [
            _one_of("missing_frames", [0], "no clip ends beyond the packed features"),
            _one_of("non_finite", [0], "all features are finite"),
            _one_of("odd_contacts", [0], "foot contacts are 0 or 1"),
            _between("root_low", low, None, f"the pelvis never sinks below {low:g} m"),
            _between("root_high", None, high, f"the pelvis never rises above {high:g} m"),
            _between(
                "bone_drift", 0, limits.bone_drift, f"bones keep their length within {limits.bone_drift:.1%}"
            ),
        ],
        "split": [
            _true("clip_known", "every listed id is a clip"),
            _one_of(
                "times_listed",
                [1],
                "every clip is listed once: forget and retain are disjoint and exhaustive",
            ),
            _true("split_agrees", "clips are listed under their own split"),
            _true("twin_same_side", "a mirrored clip is on its original's side"),
            gxe.ExpectColumnMeanToBeBetween(
                column="forget",
                min_value=least,
                max_value=most,
                row_condition=Column("split") == "train",
                meta={"contract": f"{least:.1%} to {most:.1%} of the training clips are to be forgotten"},
            ),
        ],
    }
    if limits.mirrored:
        return found
    return {
        name: [e for e in suite if getattr(e, "column", None) not in TWINS] for name, suite in found.items()
    }


def check(tables: Mapping[str, pd.DataFrame], limits: ContractLimits) -> tuple[SuiteResult, ...]:
    """Run the suite of each given table; a table has a clip_id column and those its suite checks.

    Deterministic: results contain no timestamps or random ids.
    """
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("tables")
    results = []
    for name, expectations in suites(limits).items():
        if name not in tables:
            continue
        asset = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        batch = asset.get_batch(batch_parameters={"dataframe": tables[name]})
        outcome = batch.validate(
            gx.ExpectationSuite(name=name, expectations=expectations),
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["clip_id"]},
        )
        contracts = tuple(_contract(result.to_json_dict(), tables[name]) for result in outcome.results)
        success = all(contract.success for contract in contracts)
        results.append(SuiteResult(name, len(tables[name]), success, contracts))
    return tuple(results)


def as_record(results: tuple[SuiteResult, ...], limits: ContractLimits) -> dict[str, Any]:
    """Results as plain JSON values, for validation.json and the site."""
    return {
        "success": all(result.success for result in results),
        "limits": asdict(limits),
        "suites": [asdict(result) for result in results],
    }


def _contract(result: Mapping[str, Any], table: pd.DataFrame) -> ContractResult:
    config, found = result["expectation_config"], result["result"]
    kwargs = {
        key: value for key, value in config["kwargs"].items() if key != "batch_id" and value is not None
    }
    column = kwargs.pop("column", None) or f"{kwargs.pop('column_A')}, {kwargs.pop('column_B')}"
    ids = [str(row["clip_id"]) for row in found.get("unexpected_index_list") or []]
    observed = found.get("observed_value")
    return ContractResult(
        contract=config["meta"]["contract"],
        expectation=config["type"],
        column=column,
        kwargs=kwargs,
        success=bool(result["success"]),
        checked=int(found.get("element_count", len(table))),
        unexpected=found.get("unexpected_count"),
        observed=None if observed is None else round(float(observed), 6),
        seen=_seen(table, column),
        clips=tuple(dict.fromkeys(ids))[:CLIPS_NAMED],
        problem=_problem(result.get("exception_info") or {}),
    )


def _seen(table: pd.DataFrame, column: str) -> str:
    """Say what a column holds: its range, its values where they are few, else how many different ones."""
    if column not in table:
        return ""
    values = table[column].dropna()
    different = values.unique()
    if len(different) <= FEW and not pd.api.types.is_float_dtype(values):
        counts = values.value_counts()
        return ", ".join(f"{value}: {counts[value]:,}" for value in sorted(different, key=str))
    if pd.api.types.is_numeric_dtype(values):
        return f"{values.min():g} to {values.max():g}"
    return f"{len(different):,} different"


def _problem(info: Mapping[str, Any]) -> str | None:
    """Why a contract could not be evaluated at all (a column of the wrong type, for example)."""
    entries = [info, *(value for value in info.values() if isinstance(value, dict))]
    messages = [str(entry["exception_message"]) for entry in entries if entry.get("raised_exception")]
    return messages[0].strip().splitlines()[0] if messages else None


def _filled(column: str, contract: str) -> Any:
    return gxe.ExpectColumnValuesToNotBeNull(column=column, meta={"contract": contract})


def _unique(column: str, contract: str) -> Any:
    return gxe.ExpectColumnValuesToBeUnique(column=column, meta={"contract": contract})


def _one_of(column: str, values: list[Any], contract: str) -> Any:
    return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=values, meta={"contract": contract})


def _true(column: str, contract: str) -> Any:
    return _one_of(column, [True], contract)


def _between(
    column: str, low: float | None, high: float | None, contract: str, *, strict_max: bool = False
) -> Any:
    return gxe.ExpectColumnValuesToBeBetween(
        column=column, min_value=low, max_value=high, strict_max=strict_max, meta={"contract": contract}
    )
