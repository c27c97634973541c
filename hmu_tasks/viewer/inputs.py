"""Everything that the report shows, gathered; what is None or empty leaves its section out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hmu_tasks.viewer.table import REFERENCES, Record, Selection


@dataclass(frozen=True)
class Sample:
    """One generated (or real) motion of a shown prompt: joints [F, J, 3] in metres, Y up."""

    method: str
    knob: int | None
    split: str
    prompt: str
    clip_id: str
    joints: NDArray[np.floating]
    fps: float = 20.0

    @property
    def name(self) -> str:
        """Name of the motion in an archive, such as `forget-000123-lcr-k016`."""
        return _file_name(
            f"{self.split}-{self.clip_id}-{self.method}" + (f"-k{self.knob:03d}" if self.knob else "")
        )


@dataclass(frozen=True)
class ReportInputs:
    """What the report is made of.

    records: metric records, gap closures included. histories: component -> columns step, name, value.
    edited: quantizer layer -> codes that the selected edit replaced. digests: name -> digest of a bundle or file.
    """

    dataset: str
    concept: str
    records: Sequence[Record]
    selection: Selection
    samples: Sequence[Sample] = ()
    usage: pd.DataFrame | None = None
    score: str = "ratio"
    edited: Mapping[int, Sequence[int]] = field(default_factory=dict)
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    filtering: Mapping[str, Any] | None = None
    validation: Mapping[str, Any] | None = None
    params: Mapping[str, Any] | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    # What was selected for further models and methods; the page shows `selection`, the tables show all.
    others: Sequence[Selection] = ()


@dataclass(frozen=True)
class Group:
    """All motions of one prompt, in the order original, selected edit, D_r, real."""

    prompt: str
    split: str
    clip_id: str
    samples: tuple[Sample, ...]

    @property
    def name(self) -> str:
        """File name of the prompt's animation, without ending."""
        return _file_name(f"{self.split}-{self.clip_id}")


def groups(samples: Sequence[Sample], selection: Selection) -> list[Group]:
    """Gather samples by prompt, forget first; other strengths than the selected one are left out."""
    order = ["original", selection.method, "retrain", *REFERENCES]
    found: dict[tuple[str, str, str], list[Sample]] = {}
    for sample in samples:
        if sample.method == selection.method and sample.knob != selection.knob:
            continue
        found.setdefault((sample.split, sample.clip_id, sample.prompt), []).append(sample)

    def rank(sample: Sample) -> int:
        return order.index(sample.method) if sample.method in order else len(order)

    return [
        Group(prompt=prompt, split=split, clip_id=clip_id, samples=tuple(sorted(members, key=rank)))
        for (split, clip_id, prompt), members in sorted(
            found.items(), key=lambda item: item[0][0] != "forget"
        )
    ]


def _file_name(text: str) -> str:
    """Replace what a file name may not hold on every system; some data sets' clip ids contain slashes."""
    return re.sub(r"[^\w.-]", "_", text)
