"""Motions as the pages' script reads them, and that script: the same viewer in the report and in the demo."""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from hmu_tasks.data.motion.skeleton import JOINTS, PARENTS, RAW_OFFSETS
from hmu_tasks.viewer.body import body_of
from hmu_tasks.viewer.inputs import Group
from hmu_tasks.viewer.summary import model_label, name_of

ASSETS = Path(__file__).parent / "assets"


def packed(group: Group, *, several: bool = False) -> dict[str, Any]:
    """Pack a prompt's motions for the script."""
    first = group.samples[0]
    return {
        "prompt": group.prompt,
        "split": group.split,
        "role": group.role,
        "kind": group.kind,
        "why": group.why,
        "model": group.model,
        "name": model_label(group.model) if several else "",
        "clip": group.clip_id,
        "fps": first.fps,
        "body": body_json(first.joints.shape[1]),
        "panels": [
            panel(
                "real motion" if sample.method == "real" else name_of(sample.method, sample.strength),
                sample.joints,
                method=sample.method,
                verdict=sample.verdict,
                score=sample.score,
                threshold=sample.threshold,
            )
            for sample in group.samples
        ],
    }


def panel(
    label: str,
    joints: NDArray[np.floating],
    *,
    method: str,
    verdict: str = "",
    score: NDArray[np.floating] | None = None,
    threshold: float | None = None,
) -> dict[str, Any]:
    """Pack one motion: joints [F, J, 3] as int16 millimetres, little-endian, and scores [F] as bytes, both base64."""
    millimetres = np.clip(np.rint(joints * 1000), -32768, 32767).astype("<i2")
    found: dict[str, Any] = {
        "label": label,
        "verdict": verdict,
        "method": method,
        "frames": len(joints),
        "data": base64.b64encode(millimetres.tobytes()).decode("ascii"),
    }
    if score is not None and threshold is not None:
        steps = np.rint(255 * np.clip(score, 0.0, 1.0)).astype(np.uint8)
        found["score"] = {
            "data": base64.b64encode(steps.tobytes()).decode("ascii"),
            "threshold": round(threshold, 4),
        }
    return found


def body_json(joints: int) -> dict[str, Any]:
    """Bones by side for drawing, and for a body of 22 joints names, parents and rest directions for BVH."""
    found: dict[str, Any] = {"joints": joints, **asdict(body_of(joints))}
    if joints == len(JOINTS):
        found |= {"names": JOINTS, "parents": PARENTS, "rest": RAW_OFFSETS.tolist()}
    return found


def script_json(value: Sequence[Any]) -> Markup:
    """Write JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    for sign, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(sign, code)
    return Markup(text)  # noqa: S704 - nothing that HTML reads is left


def viewer_script(start: str) -> Markup:
    """The viewer's script with the file that starts it on a page."""
    parts = ((ASSETS / name).read_text(encoding="utf-8") for name in ("export.js", "viewer.js", start))
    return Markup("\n".join(parts))  # noqa: S704 - ours


def subscript(text: str) -> Markup:
    """Set the name D_r with a real subscript, and keep a per cent sign beside its number."""
    return Markup(str(escape(text)).replace("D_r", "D<sub>r</sub>").replace(" %", "\u00a0%"))  # noqa: S704 - escaped first
