"""The model that a registered version holds: prompts in, motions out. MLflow loads it from this file, without pickle.

A version carries this file, the code that it imports and the bundle; loading it needs no checkout of the project.
"""

import math
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from hmu_tasks.data.motion.bvh_export import bvh_text
from hmu_tasks.data.motion.recovery import to_joints
from hmu_tasks.data.motion.skeleton import JOINTS
from hmu_tasks.models.generators.bundle import load_bundle
from hmu_tasks.models.generators.length import load_length
from hmu_tasks.models.generators.text_to_motion import Sampling
from hmu_tasks.models.networks.device import pick_device
from hmu_tasks.models.networks.lengths import UNIT
from hmu_tasks.models.text.embeddings import embed_texts, stacked
from hmu_tasks.runtime.files import read_json
from hmu_tasks.runtime.prompts import unread
from hmu_tasks.runtime.seeds import MOST_SEED, generator

COLUMNS = ("prompt", "seconds", "seed")
OUTPUTS = ("joints", "motion", "features", "bvh")
DEVICES = ("auto", "cpu", "cuda")
MOST_PROMPTS = 64
LONGEST_PROMPT = 400  # characters


class ServedModel(PythonModel):  # type: ignore[misc]
    """A bundle behind MLflow's interface for models."""

    def load_context(self, context: Any) -> None:
        """Read the bundle and the settings that it was evaluated with.

        `model_config={"device": "cpu"}` of load_model chooses the device: auto, cpu or cuda.
        """
        chosen = (context.model_config or {}).get("device", "auto")
        if chosen not in DEVICES:
            raise _refused(f"device is {chosen!r}; choose one of {', '.join(DEVICES)}")
        self._device = pick_device(chosen)
        self._bundle = load_bundle(Path(context.artifacts["bundle"]), self._device)
        self._length = load_length(Path(context.artifacts["bundle"]) / "text", self._device)
        settings = read_json(Path(context.artifacts["generation"]))
        self._sampling = Sampling(**settings["sampling"])
        self._fps = float(settings["fps"])
        self._frames = (int(settings["shortest"]), int(settings["longest"]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[Any]:
        """Generate one motion per row.

        model_input: columns prompt (text), seconds (rounded to whole tokens of four frames; missing or null for
            a length predicted by the model), seed (0 and more).
        params: `output` is joints (arrays [F, J, 3] in metres, Y up), motion (the same with `fps` and, for 22 joints,
            `names`), features (arrays [F, D]) or bvh (texts); frames
            per second, J and D are those of the data that the model was trained on.
        A row's motion does not depend on the other rows. Raises MlflowException for invalid input.
        """
        del context
        output = (params or {}).get("output", OUTPUTS[0])
        if output not in OUTPUTS:
            raise _refused(f"output is {output!r}; choose one of {', '.join(OUTPUTS)}")
        rows = []
        for place, (prompt, seconds, seed) in enumerate(_checked_rows(model_input)):
            if fault := self._unread(prompt):
                raise _refused(f"row {place}: {fault}")
            rows.append((prompt, self._length_of(seconds, place), seed))
        return [self._draw(*row, output) for row in rows]

    def _unread(self, prompt: str) -> str | None:
        """What the text encoder would leave out; CLIP's reads every script, in pieces, up to a number of them."""
        encoder = self._bundle.text
        if encoder.most_words is not None:
            return unread(prompt, most_words=encoder.most_words)
        tokenizer = getattr(encoder, "tokenizer", None)
        most = encoder.model.config.max_position_embeddings if tokenizer is not None else 0  # type: ignore[attr-defined]
        pieces = 0 if tokenizer is None else len(tokenizer(prompt)["input_ids"])
        if pieces > most:
            return f"the prompt has {pieces} pieces of words; the text encoder reads the first {most}"
        return None

    def _length_of(self, seconds: float | None, place: int) -> int | None:
        """Frames of a row; None if the model predicts the length."""
        if seconds is None:
            if self._length is None and not self._bundle.model.predicts_lengths:
                raise _refused(
                    f"row {place}: seconds is missing, and this model cannot predict a motion's length"
                )
            return None
        least, most = (count / self._fps for count in self._frames)
        if not least <= seconds <= most:
            raise _refused(f"row {place}: seconds is {seconds:g}; motions last {least:.3g} to {most:.3g} s")
        return min(max(round(seconds * self._fps / UNIT) * UNIT, self._frames[0]), self._frames[1])

    def _predicted(self, vector: torch.Tensor, seed: int) -> int | None:
        """Sample a length from the length estimator; None if the model itself ends its motions."""
        if self._length is None:
            return None
        shares = self._length(vector).softmax(dim=-1)
        # A separate generator: requesting the predicted length in seconds gives the same motion.
        tokens = torch.multinomial(shares, 1, generator=self._generator(seed))
        return min(max(int(tokens) * UNIT, self._frames[0]), self._frames[1])

    def _generator(self, seed: int) -> torch.Generator:
        return generator(seed, self._device)

    def _draw(self, prompt: str, frames: int | None, seed: int, output: str) -> Any:
        text = stacked(embed_texts(self._bundle.text, [prompt]), [prompt]).to(self._device)
        frames = self._predicted(text[:, 0], seed) if frames is None else frames
        features = self._bundle.model.generate(
            text,
            None if frames is None else [frames],
            sampling=self._sampling,
            generator=self._generator(seed),
        )[0]
        if output == "features":
            return np.asarray(features, np.float32)
        joints = np.asarray(to_joints(features), np.float32)
        if output == "joints":
            return joints
        if output == "motion":
            names = list(JOINTS) if joints.shape[1] == len(JOINTS) else None
            return {"fps": self._fps, "names": names, "joints": joints.tolist()}
        if joints.shape[1] != len(JOINTS):
            raise _refused(
                f"bvh is written for {len(JOINTS)} joints and this model has {joints.shape[1]}; request joints"
            )
        return bvh_text(joints, fps=self._fps)


def _checked_rows(table: pd.DataFrame) -> list[tuple[str, float | None, int]]:
    """Turn the table into (prompt, seconds, seed); raises MlflowException naming the first row that is not allowed."""
    if "seconds" not in table:
        table = table.assign(seconds=None)
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise _refused(f"the column {missing[0]} is missing; give {', '.join(COLUMNS)}")
    if not 1 <= len(table) <= MOST_PROMPTS:
        raise _refused(f"{len(table)} prompts were given; one request takes 1 to {MOST_PROMPTS}")
    rows = []
    for place, (prompt, seconds, seed) in enumerate(zip(*(table[name] for name in COLUMNS), strict=True)):
        if not isinstance(prompt, str) or not any(sign.isalnum() for sign in prompt):
            raise _refused(f"row {place}: the prompt is empty or not text: {shown(prompt)}")
        if len(prompt) > LONGEST_PROMPT:
            raise _refused(
                f"row {place}: the prompt has {len(prompt)} characters, at most {LONGEST_PROMPT} are taken"
            )
        rows.append((prompt, _seconds(seconds, place), _seed(seed, place)))
    return rows


def _seconds(seconds: Any, place: int) -> float | None:
    """Read a length; null comes as None, and as NaN or NaT in a column of numbers or dates."""
    missing = seconds is None or (pd.api.types.is_scalar(seconds) and pd.isna(seconds))
    return None if missing else _number(seconds, "seconds", place)


def _seed(seed: Any, place: int) -> int:
    if isinstance(seed, bool | np.bool_) or not isinstance(seed, int | float | np.integer | np.floating):
        raise _refused(f"row {place}: seed is {shown(seed)}, which is not a number")
    if not isinstance(seed, int | np.integer) or not 0 <= seed <= MOST_SEED:
        raise _refused(
            f"row {place}: seed is {shown(seed, quoted=False)}; give a whole number from 0 to 2**63 - 1"
        )
    return int(seed)


def _number(value: Any, name: str, place: int) -> float:
    numeric = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    try:
        number = float(value) if numeric else math.nan
    except OverflowError:  # a whole number beyond all floats
        number = math.nan
    if not math.isfinite(number):
        raise _refused(f"row {place}: {name} is {shown(value)}, which is not a number")
    return number


def shown(value: Any, *, quoted: bool = True) -> str:
    """A value for a message: short, whatever it is."""
    try:
        text = str(value)[:40]
    except ValueError:  # Python writes no more than 4,300 digits
        return "a number of thousands of digits"
    except RecursionError:
        return "nested too deep to be shown"
    return repr(text) if quoted else text


def _refused(reason: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(reason)


def _table(data: Any) -> pd.DataFrame:
    """Take a table, one record or a list of records; raises MlflowException for anything else."""
    if isinstance(data, dict):
        single = not any(isinstance(value, list | tuple | np.ndarray) for value in data.values())
        data = [data] if single else data
    if isinstance(data, pd.DataFrame):
        return data
    records = isinstance(data, list) and all(isinstance(row, dict) for row in data)
    if not records and not isinstance(data, dict):
        raise _refused(f"the input is not a table; give one with the columns {', '.join(COLUMNS)}")
    try:
        return pd.DataFrame(data)
    except ValueError as error:
        raise _refused(
            f"the input is not a table: give one row per prompt with the columns {', '.join(COLUMNS)}"
        ) from error


def _check_input_here() -> None:
    """Let this file check the input of this model, before MLflow does.

    MLflow 3.17 drops parameters and columns that a signature does not name and only writes a line to the log, so that
    a misspelt `otput=bvh` would give joints; it refuses whole numbers where it expects others; and its messages repeat
    all of the data. So its check is wrapped once per process, without effect on other models.
    """
    check = mlflow.pyfunc._validate_prediction_input
    if getattr(check, "knows_text_to_motion", False):
        return

    def checked(data: Any, params: Any, input_schema: Any, params_schema: Any, *rest: Any) -> Any:
        if input_schema is None or tuple(input_schema.input_names()) != COLUMNS:
            return check(data, params, input_schema, params_schema, *rest)
        known = [spec.name for spec in params_schema.params]
        if unknown := sorted(str(name) for name in (params or {}) if name not in known):
            raise _refused(f"unknown parameter {unknown[0]!r}; this model knows {', '.join(known)}")
        table = _table(data)
        if surplus := sorted(str(name) for name in table if name not in COLUMNS):
            raise _refused(f"unknown column {surplus[0]!r}; this model knows {', '.join(COLUMNS)}")
        _checked_rows(table)
        return table, params

    checked.knows_text_to_motion = True  # type: ignore[attr-defined]
    mlflow.pyfunc._validate_prediction_input = checked


_check_input_here()
set_model(ServedModel())
