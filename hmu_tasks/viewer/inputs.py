"""All inputs of the report; a section whose input is None or empty is left out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hmu_tasks.metrics import ROLES
from hmu_tasks.reviews.summary import HumanJudgement
from hmu_tasks.viewer.costs import CostRow
from hmu_tasks.viewer.table import DATA_ROWS, ProbeRecord, Record, Selection


@dataclass(frozen=True)
class MotionSample:
    """One generated (or real) motion of a shown prompt: joints [F, J, 3] in metres, Y up."""

    method: str
    strength: int | None
    split: str
    prompt: str
    clip_id: str
    joints: NDArray[np.floating]
    fps: float = 20.0
    model: str = ""  # empty for motions of the dataset
    # Violence classifier -> whether it flags the motion; disputed: shown because they disagree.
    flagged: Mapping[str, bool] = field(default_factory=dict)
    disputed: bool = False
    # Score of each frame, [F], and threshold, of the classifier that comes nearest to flagging the motion.
    score: NDArray[np.floating] | None = None
    threshold: float | None = None
    # Why the prompt is shown, where it was chosen by what came out: a short name and the rule.
    kind: str = ""
    why: str = ""

    @property
    def verdict(self) -> str:
        """What the violence classifiers say, in words; empty without classifiers."""
        names = [name for name, marked in self.flagged.items() if marked]
        if not self.flagged:
            return ""
        if len(names) == len(self.flagged):
            return "flagged"
        return f"flagged by {' and '.join(names)} only" if names else "not flagged"

    @property
    def name(self) -> str:
        """Name of the motion in an archive, such as `forget-000123-momask-lcr-strength016`."""
        parts = [self.split, self.clip_id, *([self.model] if self.model else []), self.method]
        return _file_name("-".join(parts) + (f"-strength{self.strength:03d}" if self.strength else ""))


@dataclass(frozen=True)
class ReportInputs:
    """Inputs of the report.

    records: metric records, gap closures included. histories: component -> columns step, name, value.
    edited: quantizer layer -> codes that the selected edit replaced. digests: name -> digest of a bundle or file.
    """

    dataset: str
    concept: str
    records: Sequence[Record]
    selection: Selection
    samples: Sequence[MotionSample] = ()
    usage: pd.DataFrame | None = None
    score: str = "ratio"
    edited: Mapping[int, Sequence[int]] = field(default_factory=dict)
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    filtering: Mapping[str, Any] | None = None
    validation: Mapping[str, Any] | None = None
    params: Mapping[str, Any] | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    # What was selected for further models and methods; the first selection of a model leads there.
    others: Sequence[Selection] = ()
    # Success rates of attacks (keys model, method, strength, attack, family, mean, low, high, n), and costs of edits.
    probes: Sequence[ProbeRecord] = ()
    costs: Sequence[CostRow] = ()
    # (model, method) -> headline metrics of the references and of each selected edit.
    headlines: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    # model -> what several trainings gave (`trainings.summarise`): those of this run, or recorded ones.
    trainings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    # (model, method) -> decision.json of the gate.
    decisions: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    # (model, method) -> what people say of the selected edit.
    judgements: Mapping[tuple[str, str], HumanJudgement] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """All motions of one prompt by one model, in the order original, leading edit, D_r, real, further edits."""

    model: str
    prompt: str
    split: str
    clip_id: str
    samples: tuple[MotionSample, ...]

    @property
    def disputed(self) -> bool:
        """Whether its motions are shown because the violence classifiers disagree on them."""
        return all(sample.disputed for sample in self.samples)

    @property
    def role(self) -> str:
        """`forget` or `retain`: whether the prompt asks for the concept."""
        return ROLES.get(self.split, "forget")

    @property
    def kind(self) -> str:
        """A few words on why the prompt is shown."""
        return self.samples[0].kind or (
            f"{self.split}, disputed" if self.disputed else f"{self.split}, drawn"
        )

    @property
    def why(self) -> str:
        """The rule by which the prompt is shown."""
        return self.samples[0].why

    @property
    def name(self) -> str:
        """File name of the prompt's animation, without ending."""
        return _file_name("-".join([*([self.model] if self.model else []), self.split, self.clip_id]))


def groups(samples: Sequence[MotionSample], selections: Sequence[Selection]) -> list[Group]:
    """Gather one model's samples by prompt, forget first, disputed last; strengths not selected are left out.

    selections: those of one model, the leading one first. Real motions belong to every model.
    """
    lead = selections[0]
    order = ["original", lead.method, "retrain", *DATA_ROWS, *(one.method for one in selections[1:])]
    chosen = {one.method: one.strength for one in reversed(selections)}
    found: dict[tuple[str, str, str], list[MotionSample]] = {}
    for sample in samples:
        if sample.model not in ("", lead.model) or sample.strength != chosen.get(
            sample.method, sample.strength
        ):
            continue
        found.setdefault((sample.split, sample.clip_id, sample.prompt), []).append(sample)

    def rank(sample: MotionSample) -> int:
        return order.index(sample.method) if sample.method in order else len(order)

    gathered = [
        Group(lead.model, prompt, split, clip_id, tuple(sorted(members, key=rank)))
        for (split, clip_id, prompt), members in found.items()
        if any(member.model for member in members)
    ]

    def place(group: Group) -> tuple[bool, bool]:
        # Chosen prompts come in the order in which they were chosen.
        return group.disputed, not group.samples[0].kind and group.split != "forget"

    return sorted(gathered, key=place)


def _file_name(text: str) -> str:
    """Replace what a file name may not hold on every system; some datasets' clip ids contain slashes."""
    return re.sub(r"[^\w.-]", "_", text)
