"""The report as one HTML page that opens from disk: text, tables, SVG, GIFs, styles and script in one file."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup, escape

from hmu_tasks.viewer import codeplots, plots, render
from hmu_tasks.viewer.body import body_of
from hmu_tasks.viewer.dataset import facts, suites
from hmu_tasks.viewer.drawing import inline
from hmu_tasks.viewer.filtering import filter_facts
from hmu_tasks.viewer.inputs import Group, ReportInputs, groups
from hmu_tasks.viewer.summary import figure, heading, name_of, note, prompts, summarise
from hmu_tasks.viewer.table import CLOSURE, REFERENCES, VIOLENCE, find
from hmu_tasks.viewer.verdict import verdict

HERE = Path(__file__).parent

PLOT_TITLES = {
    "tradeoff": "Gap closed on forget prompts against retain R@1 lost, one point per strength",
    "strength": "Figures over the number of replaced codes",
    "prompts": "Motions judged violent, by kind of prompt and model",
    "presence": "Clips with each code, forget against retain",
    "top": "Highest scored codes",
    "perplexity": "Perplexity of code use per quantizer layer",
    "history": "Training curves",
}


def draw_plots(inputs: ReportInputs) -> dict[str, str]:
    """Draw every plot for which there are figures: name -> SVG text."""
    records, selection = inputs.records, inputs.selection
    measured = {r["metric"] for r in records}
    drawn: dict[str, str | None] = {
        "tradeoff": plots.tradeoff(records, selection, metric=VIOLENCE if VIOLENCE in measured else "fid"),
        "strength": plots.strength_curves(records, selection),
        "prompts": plots.prompt_kinds(records, selection),
    }
    if inputs.usage is not None:
        for layer in sorted(inputs.edited) or [0]:
            codes = [int(code) for code in inputs.edited.get(layer, ())]
            drawn[f"presence{layer}"] = codeplots.presence(inputs.usage, edited=codes, layer=layer)
            drawn[f"top{layer}"] = codeplots.top_codes(
                inputs.usage, edited=codes, layer=layer, score=inputs.score
            )
        drawn["perplexity"] = codeplots.perplexity(inputs.usage)
    for kind, text in codeplots.training_curves(inputs.histories).items():
        drawn[f"history-{kind}"] = text
    return {name: text for name, text in drawn.items() if text is not None}


def draw_animations(inputs: ReportInputs) -> dict[str, bytes]:
    """Draw one GIF per shown prompt, models side by side, and a still strip of the first: file name -> bytes."""
    drawn: dict[str, bytes] = {}
    for index, group in enumerate(groups(inputs.samples, inputs.selection)):
        # Real motions stay in the interactive viewer: three panels are what a page's width takes.
        shown = [s for s in group.samples if s.method not in REFERENCES] or list(group.samples)
        panels = [render.Panel(s.joints, name_of(s.method, s.knob)) for s in shown[:3]]
        fps = group.samples[0].fps
        drawn[f"{group.name}.gif"] = render.animation(panels, title=group.prompt, fps=fps)
        if index == 0:
            drawn["before-after.png"] = render.contact_sheet(panels, title=group.prompt, fps=fps)
    return drawn


def render_page(inputs: ReportInputs, drawn: Mapping[str, str], animations: Mapping[str, bytes]) -> str:
    """Fill the template; sections without inputs are left out, and nothing refers to a network."""
    summary = summarise(inputs.records, inputs.selection)
    shown = groups(inputs.samples, inputs.selection)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sub"] = _subscript
    svgs = {name: Markup(inline(text, title=_plot_title(name))) for name, text in drawn.items()}  # noqa: S704 - ours
    return environment.get_template("report.html.j2").render(
        inputs=inputs,
        selection=inputs.selection,
        model=inputs.selection.model,
        edit_name=name_of(inputs.selection.method, inputs.selection.knob),
        verdict=verdict(inputs.records, inputs.selection, concept=inputs.concept),
        tables=_tables(inputs),
        note=note(summary, inputs.selection),
        plots=dict.fromkeys(PLOT_TITLES) | svgs,
        presence=[svgs[n] for n in svgs if n.startswith(("presence", "top"))],
        histories={n.removeprefix("history-"): svg for n, svg in svgs.items() if n.startswith("history-")},
        gifs=[
            {"group": g, "data": _data_uri(animations[f"{g.name}.gif"], "image/gif")}
            for g in shown
            if f"{g.name}.gif" in animations
        ],
        motions=_script_json([_packed(group) for group in shown]),
        has_motions=bool(shown),
        has_violence=any(r["metric"] == VIOLENCE for r in inputs.records),
        has_closure=any(r["metric"].startswith(CLOSURE) for r in inputs.records),
        protocol=_protocol(inputs),
        codes=_code_rows(inputs),
        reconstruction=_reconstruction(inputs),
        filtering=filter_facts(inputs.filtering),
        suites=suites(inputs.validation or {}),
        params=list(facts(inputs.params or {})),
        css=Markup((HERE / "assets" / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - ours
        script=Markup((HERE / "assets" / "viewer.js").read_text(encoding="utf-8")),  # noqa: S704 - ours
    )


def _tables(inputs: ReportInputs) -> list[dict[str, Any]]:
    summary = summarise(inputs.records, inputs.selection)
    tables = []
    for split in ("forget", "retain"):
        columns = [column for column in summary.columns if column.split == split]
        rows = [
            {
                "label": row.label,
                "kind": row.kind,
                "cells": [figure(row.cells.get(c), c, sign=" ±").partition(" ±") for c in columns],
                "n": prompts(row, columns),
            }
            for row in summary.rows
            if any(c in row.cells for c in columns)
        ]
        if columns:
            heads = [{"label": f"{c.label} {c.unit}".strip(), "better": c.better} for c in columns]
            tables.append({"split": split, "heads": heads, "rows": rows, "title": heading(columns[0])})
    return tables


def _protocol(inputs: ReportInputs) -> dict[str, Any]:
    def counts(split: str, name: str) -> list[int]:
        found = {int(r[name]) for r in inputs.records if r["split"] == split and r.get(name)}
        return sorted(found)

    splits = [
        {"name": split, "n": max(counts(split, "n")), "repeats": counts(split, "repeats")}
        for split in (
            "forget",
            "retain",
            "forget-val",
            "retain-val",
            "explicit",
            "implicit",
            "benign",
            "hard_benign",
        )
        if counts(split, "n")
    ]
    return {"splits": splits, "settings": list(facts((inputs.params or {}).get("evaluate", {})))}


def _code_rows(inputs: ReportInputs) -> list[dict[str, Any]]:
    """How far each layer's codes divide the sets: codes in use, and codes that mostly forget clips use."""
    if inputs.usage is None:
        return []
    rows = []
    for layer, part in inputs.usage.groupby("layer"):
        total = part["forget_clips"] + part["retain_clips"]
        mostly = (part["forget_clips"] > part["retain_clips"]) & (total >= 5)
        effective = codeplots.usage_perplexity(part["forget_count"] + part["retain_count"])
        rows.append(
            {
                "layer": layer,
                "codes": len(part),
                "used": int((total > 0).sum()),
                "perplexity": f"{effective:.0f} ({100 * effective / len(part):.0f} %)",
                "mostly": int(mostly.sum()),
            }
        )
    return rows


def _reconstruction(inputs: ReportInputs) -> list[tuple[str, str, float]]:
    """Mean joint error of each tokenizer's reconstruction in millimetres: name, split, error."""
    found = []
    for method in REFERENCES:
        for split in ("forget", "retain"):
            cell = find(inputs.records, method=method, split=split, metric="mpjpe", model=None)
            if cell:
                found.append((name_of(method), split, 1000 * cell.mean))
    return found


def _packed(group: Group) -> dict[str, Any]:
    """Pack a prompt's motions for the script: int16 millimetres, little-endian, base64."""
    panels = []
    for sample in group.samples:
        millimetres = np.clip(np.rint(sample.joints * 1000), -32768, 32767).astype("<i2")
        panels.append(
            {
                "label": "real motion" if sample.method == "real" else name_of(sample.method, sample.knob),
                "method": sample.method,
                "frames": len(sample.joints),
                "data": base64.b64encode(millimetres.tobytes()).decode("ascii"),
            }
        )
    first = group.samples[0]
    joints = first.joints.shape[1]
    return {
        "prompt": group.prompt,
        "split": group.split,
        "clip": group.clip_id,
        "fps": first.fps,
        "body": {"joints": joints, **asdict(body_of(joints))},
        "panels": panels,
    }


def _script_json(value: Sequence[Any]) -> Markup:
    """Write JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    for sign, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(sign, code)
    return Markup(text)  # noqa: S704 - nothing that HTML reads is left


def _subscript(text: str) -> Markup:
    """Set the name D_r with a real subscript."""
    return Markup(str(escape(text)).replace("D_r", "D<sub>r</sub>"))  # noqa: S704 - escaped first


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _plot_title(name: str) -> str:
    known = next((title for stem, title in PLOT_TITLES.items() if name.startswith(stem)), name)
    return f"{known} ({name})"
