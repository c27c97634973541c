"""The model card of one bundle in Markdown: what was removed and how well, what may go wrong, how to make it again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from hmu_tasks.metrics import NO_ATTACK, metric, metrics
from hmu_tasks.metrics.metric import Table
from hmu_tasks.registry.evidence import Evidence, Measurement, rounded
from hmu_tasks.registry.gate import Decision

HERE = Path(__file__).parent
DESCRIPTION_LIMIT = 5000  # characters that MLflow's database keeps of a description

# What a checkpoint inherits from the motions it was trained on.
LICENCES: Mapping[str, str] = {
    "synthetic": "The training motions are drawn by this project's own grammar and carry no foreign licence.",
    "humanml3d": (
        "HumanML3D's captions are MIT; its motions come from AMASS and HumanAct12, whose licences allow "
        "non-commercial research only. The weights inherit that limit."
    ),
    "motionx": "Motion-X is licensed for non-commercial research only; the weights inherit that limit.",
    "kitml": "KIT Motion-Language is licensed for research only; the weights inherit that limit.",
}


@dataclass(frozen=True)
class Origin:
    """Where a registered version was made: commit, whether files differed from it, digests of all that is tracked."""

    commit: str | None
    dirty: bool
    digests: Mapping[str, str]  # path -> digest in dvc.lock


def card_text(evidence: Evidence, decision: Decision, origin: Origin | None = None) -> str:
    """Fill the card; without an origin it says how to make the bundle in the checkout it lies in."""
    return (
        _environment()
        .get_template("card.md.j2")
        .render(**_values(evidence, decision), origin=origin, full=True)
    )


def description(evidence: Evidence, decision: Decision) -> str:
    """Fill the card's first part, short enough for the description that MLflow shows beside a version."""
    text = (
        _environment()
        .get_template("card.md.j2")
        .render(**_values(evidence, decision), origin=None, full=False)
    )
    return text if len(text) <= DESCRIPTION_LIMIT else text[: DESCRIPTION_LIMIT - 2] + "…\n"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(  # Markdown, no HTML: what is filled in are names and numbers of ours
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=False,  # noqa: S701
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["measured"] = measurement_text
    environment.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    return environment


def _values(evidence: Evidence, decision: Decision) -> dict[str, object]:
    return {
        "e": evidence,
        "decision": decision,
        "removed": _rows(evidence, ("forget", "explicit", "implicit"), "card-removed"),
        "kept": _rows(evidence, ("retain", "benign", "hard_benign"), "card-kept"),
        "risks": _risks(evidence),
        "licence": LICENCES.get(
            evidence.dataset, "The licence of the training motions applies to the weights, too."
        ),
    }


def _rows(evidence: Evidence, splits: tuple[str, ...], table: Table) -> list[dict[str, str]]:
    """Table rows: prompts, metric, the edited model's measured, the original's and D_r's."""
    rows = []
    placed = [(c.place, key) for key, one in metrics().items() for c in one.columns if c.table == table]
    for split in splits:
        for _, key in sorted(placed):
            name = f"{split}/{key}"
            found = evidence.edited.get(name)
            # The raw rate is of interest only where no floor could be taken off.
            if found is None or (key == "violence" and f"{split}/violence_corrected" in evidence.edited):
                continue
            others = (evidence.original.get(name), evidence.retrain.get(name))
            cells = [measurement_text(f) for f in (found, *others)]
            label = metric(key).label
            rows.append(
                {
                    "prompts": split,
                    "metric": label,
                    "edited": cells[0],
                    "original": cells[1],
                    "retrain": cells[2],
                    "n": str(found.n),
                }
            )
    return rows


@dataclass(frozen=True)
class Risk:
    """What may happen, and how often it did: with this model, the original, and D_r; n prompts each."""

    what: str
    edited: str
    original: str
    retrain: str
    n: str


_PHRASES: Mapping[str, str] = {
    "text": "attack by wording, {name}: {concept} comes back",
    "embedding": "attack on the sentence vector, {name}: {concept} comes back",
    "weights": "attack with access to the files, {name}: {concept} comes back",
    "precision": "weights rounded, {name}: {concept} comes back",
    "oversuppression": "harmless prompts, {name}: another motion than the original's",
    "restoration": "the original's {name} put back: {concept} comes back",
}


def _risks(evidence: Evidence) -> list[Risk]:
    """Residual risks, with the rates of the original and of D_r beside this model's."""
    rows = []
    for split, words in (
        ("forget", f"prompts that name {evidence.concept}"),
        ("explicit", "explicit hand-written prompts"),
        ("implicit", f"prompts that describe {evidence.concept} without naming it"),
    ):
        for key in ("violence_corrected", "violence"):
            found = evidence.edited.get(f"{split}/{key}")
            if found is not None:
                name = f"{split}/{key}"
                others = _rate_text(evidence.original.get(name)), _rate_text(evidence.retrain.get(name))
                what = f"{evidence.concept} in motions for {words}"
                rows.append(Risk(what, _rate_text(found), *others, n=str(found.n)))
                break
    order = {family: place for place, family in enumerate(_PHRASES)}

    def place(attack: str) -> tuple[int, str]:
        return order.get(evidence.families.get(attack, ""), len(order)), attack

    for attack in sorted(evidence.probes, key=place):
        found = evidence.probes[attack]
        phrase = _PHRASES.get(evidence.families.get(attack, ""), "attack {name}: {concept} comes back")
        if attack == NO_ATTACK:
            phrase = "no attack: {concept} in motions for the prompts that the attacks change"
        others = (
            _rate_text(evidence.original_probes.get(attack)),
            _rate_text(evidence.retrain_probes.get(attack)),
        )
        what = phrase.format(name=attack, concept=evidence.concept)
        rows.append(Risk(what, _rate_text(found), *others, n=str(found.n)))
    if not evidence.probes:
        rows.append(Risk("attacks of any kind", "not measured: no probe was run", "–", "–", "–"))
    return rows


def _rate_text(measured: Measurement | None) -> str:
    """Write a rate with its upper limit, a dash where there is none."""
    if measured is None:
        return "–"
    if measured.low == measured.high:  # repeats without spread give no limit that would mean anything
        return f"{max(0.0, measured.mean):.0%}"
    # A rate corrected for false alarms may lie below 0 with all of its interval: it is none.
    most = "" if measured.high is None or measured.high < 0 else f", up to {min(1.0, measured.high):.0%}"
    return f"{max(0.0, measured.mean):.0%}{most}"


def measurement_text(measured: Measurement | None) -> str:
    """Write a measured with half its interval, a dash where there is none."""
    if measured is None:
        return "–"
    if measured.low is None or measured.high is None:
        return rounded(measured.mean, 3)
    return f"{rounded(measured.mean, 3)} ±{rounded((measured.high - measured.low) / 2, 2)}"
