"""The report as one HTML page that opens from disk: text, tables, SVG, GIFs, styles and script in one file."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jinja2
from markupsafe import Markup

from hmu_tasks.metrics import ROLES
from hmu_tasks.viewer import codeplots, plots, render
from hmu_tasks.viewer.attacks import Attacks, interval, rate
from hmu_tasks.viewer.dataset import facts, suites
from hmu_tasks.viewer.drawing import inline, method_styles, variable
from hmu_tasks.viewer.filtering import filter_facts
from hmu_tasks.viewer.inputs import Group, ReportInputs, groups
from hmu_tasks.viewer.motion_data import packed, script_json, subscript, viewer_script
from hmu_tasks.viewer.summary import Summary, cell_text, name_of, prompts
from hmu_tasks.viewer.table import CLOSURE, DATA_ROWS, VIOLENCE, Selection, find
from hmu_tasks.viewer.view import ModelView, views

HERE = Path(__file__).parent

DRAWN = "drawn"  # last word of the kind of prompts that chance chose
FALL = "largest fall"  # kind of prompts on which the score falls most

PLOT_TITLES = {
    "tradeoff": "Violence left on forget prompts against retain R@1, one line per method",
    "strength": "Metrics over the strength of a method",
    "prompts": "Motions classified as violent, by kind of prompt and model",
    "presence": "Clips with each code, forget against retain",
    "top": "Highest scored codes",
    "perplexity": "Perplexity of code use per quantizer layer",
    "history": "Training curves",
}


def draw_plots(inputs: ReportInputs) -> dict[str, str]:
    """Draw every plot that has data: name -> SVG text."""
    records = inputs.records
    drawn: dict[str, str | None] = {}
    for lead, selections in leads(inputs):
        drawn[f"tradeoff-{lead.model}"] = plots.tradeoff(records, selections, model=lead.model)
        for one in selections:
            drawn[f"strength-{lead.model}-{one.method}"] = plots.strength_curves(records, one)
        drawn[f"prompts-{lead.model}"] = plots.prompt_kinds(records, lead)
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
    """Draw GIFs, and a still strip of the first: file name -> bytes.

    Side by side stand the original, the leading edit of the model, and D_r. Of prompts that were chosen by rule, drawn
    are the one on which the score falls most and those of chance; of others, all but the disputed ones.
    """
    drawn: dict[str, bytes] = {}
    for group in animated(_groups(inputs)):
        # Real motions are shown in the interactive viewer only: three panels fill the page's width.
        shown = [s for s in group.samples if s.method not in DATA_ROWS] or list(group.samples)
        panels = [render.Panel(s.joints, name_of(s.method, s.strength)) for s in shown[:3]]
        fps = group.samples[0].fps
        if not drawn:
            drawn["before-after.png"] = render.contact_sheet(panels, title=group.prompt, fps=fps)
        drawn[f"{group.name}.gif"] = render.animation(panels, title=group.prompt, fps=fps)
    return drawn


def animated(found: Sequence[Group]) -> list[Group]:
    """The prompts that become GIFs, the one on which the score falls most first."""
    kinds = [group for group in found if not group.disputed and group.samples[0].kind]
    if not kinds:
        return [group for group in found if not group.disputed]
    falls: dict[str, Group] = {}
    for group in kinds:
        if group.kind == FALL:
            falls.setdefault(group.model, group)
    return [*falls.values(), *(group for group in kinds if group.kind.endswith(DRAWN))]


def render_page(inputs: ReportInputs, drawn: Mapping[str, str], animations: Mapping[str, bytes]) -> str:
    """Render the template; sections without inputs are left out, and the page loads nothing from the network."""
    found = views(inputs)
    shown = _groups(inputs)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sub"] = subscript
    environment.filters["key"] = variable
    svgs = {name: Markup(inline(text, title=_plot_title(name))) for name, text in drawn.items()}  # noqa: S704 - ours
    return environment.get_template("report.html.j2").render(
        inputs=inputs,
        title=joined_names([view.name for view in found]),
        views=[_shown(view, svgs) for view in found],
        several=len(found) > 1,
        names={view.model: view.name for view in found},
        has={
            "ranking": any(len(view.ranking.methods) > 0 for view in found),
            "attacks": any(view.attacks.rows for view in found),
            "cost": any(view.cost_grid for view in found),
            "trainings": any(view.trainings_grids for view in found),
            "human": any(view.human_grids for view in found),
            **{
                kind: any(name.startswith(f"{kind}-") for name in svgs)
                for kind in ("tradeoff", "strength", "prompts")
            },
        },
        perplexity=svgs.get("perplexity"),
        presence=[svgs[n] for n in svgs if n.startswith(("presence", "top"))],
        histories={n.removeprefix("history-"): svg for n, svg in svgs.items() if n.startswith("history-")},
        gifs=[
            {"group": g, "data": _data_uri(animations[f"{g.name}.gif"], "image/gif")}
            for g in shown
            if f"{g.name}.gif" in animations
        ],
        motions=script_json([packed(group, several=len(found) > 1) for group in shown]),
        has_motions=bool(shown),
        chosen=len({(g.model, g.name) for g in shown if g.samples[0].kind}),
        has_violence=any(r["metric"] == VIOLENCE for r in inputs.records),
        has_closure=any(r["metric"].startswith(CLOSURE) for r in inputs.records),
        has_ncs=any(r["metric"] == "ncs1" for r in inputs.records),
        protocol=_protocol(inputs),
        codes=_code_rows(inputs),
        reconstruction=_reconstruction(inputs),
        filtering=filter_facts(inputs.filtering),
        suites=suites(inputs.validation or {}),
        params=list(facts(inputs.params or {})),
        css=Markup((HERE / "assets" / "report.css").read_text(encoding="utf-8") + method_styles()),  # noqa: S704 - ours
        copying=Markup((HERE / "assets" / "copy.js").read_text(encoding="utf-8")),  # noqa: S704 - ours
        tabs=Markup((HERE / "assets" / "tabs.js").read_text(encoding="utf-8")),  # noqa: S704 - ours
        script=viewer_script("report.js"),
    )


def leads(inputs: ReportInputs) -> list[tuple[Selection, tuple[Selection, ...]]]:
    """Every model's leading selection, and all of its selections, the leading one first."""
    everything = (inputs.selection, *inputs.others)
    found = []
    for model in dict.fromkeys(one.model for one in everything):
        mine = tuple(one for one in everything if one.model == model)
        found.append((mine[0], mine))
    return found


def joined_names(names: Sequence[str]) -> str:
    """Write `a`, `a and b` or `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _groups(inputs: ReportInputs) -> list[Group]:
    return [group for _, selections in leads(inputs) for group in groups(inputs.samples, selections)]


def _shown(view: ModelView, svgs: Mapping[str, Markup]) -> dict[str, Any]:
    """Template values of one model."""
    curves = [(one, svgs.get(f"strength-{view.model}-{one.method}")) for one in view.selections]
    return {
        "view": view,
        "lead": name_of(view.lead.method, view.lead.strength),
        "tables": _tables(view.summary),
        "heat": _heat(view.attacks),
        "tradeoff": svgs.get(f"tradeoff-{view.model}"),
        "prompts": svgs.get(f"prompts-{view.model}"),
        "strengths": [
            {"selection": one, "name": name_of(one.method, one.strength), "plot": plot}
            for one, plot in curves
            if plot is not None
        ],
    }


def _tables(summary: Summary) -> list[dict[str, Any]]:
    return [
        {
            "title": part.title,
            "heads": [{"label": f"{c.label} {c.unit}".strip(), "better": c.better} for c in part.columns],
            "rows": [
                {
                    "label": row.label,
                    "kind": row.kind,
                    "variable": variable(row.method),
                    "cells": [
                        cell_text(row.cells.get(c), c, sign=" ±").partition(" ±") for c in part.columns
                    ],
                    "n": prompts(row, part.columns),
                }
                for row in summary.rows_of(part)
            ],
        }
        for part in summary.parts
    ]


def _heat(found: Attacks) -> list[dict[str, Any]]:
    """The heat maps: attacks, then over-suppression; a cell is its rate in per cent, its shade and its tooltip."""
    maps = []
    for over in (False, True):
        families = []
        members = [row for _, rows in found.families(over=over) for row in rows]
        columns = [column for column in found.columns if any(column in row.cells for row in members)]
        for family, rows in found.families(over=over):
            lines = []
            for row in rows:
                cells = []
                for column in columns:
                    cell = row.cells.get(column)
                    percent = None if cell is None else round(100 * min(1.0, max(0.0, cell.mean)))
                    why = row.inapplicable.get(column)
                    missing = "not run" if why is None else f"does not apply: {why}"
                    words = f"{row.label}, {name_of(*column)}: " + (
                        missing if cell is None else f"{rate(cell)} %, n = {cell.n}"
                    )
                    span = "" if cell is None or cell.low == cell.high else interval(cell)
                    empty = "–" if why is None else "n/a"
                    cells.append({"percent": percent, "words": words, "span": span, "empty": empty})
                counts = sorted({cell.n for cell in row.cells.values()})
                size = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
                lines.append({"label": row.label, "cells": cells, "n": size})
            families.append((family, lines))
        if families:
            heads = [name_of(*column) for column in columns]
            maps.append({"over": over, "heads": heads, "families": families})
    return maps


def _protocol(inputs: ReportInputs) -> dict[str, Any]:
    def counts(split: str, name: Literal["n", "repeats"]) -> list[int]:
        found = {int(r[name]) for r in inputs.records if r["split"] == split and r.get(name)}
        return sorted(found)

    splits = [
        {"name": split, "n": max(counts(split, "n")), "repeats": counts(split, "repeats")}
        for split in ROLES
        if counts(split, "n")
    ]
    return {"splits": splits, "settings": list(facts((inputs.params or {}).get("evaluate", {})))}


def _code_rows(inputs: ReportInputs) -> list[dict[str, Any]]:
    """How well each layer's codes separate the sets: codes in use, and codes used mostly by forget clips."""
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
    for method in DATA_ROWS:
        for split in ("forget", "retain"):
            cell = find(inputs.records, method=method, split=split, metric="mpjpe", model=None)
            if cell:
                found.append((name_of(method), split, 1000 * cell.mean))
    return found


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _plot_title(name: str) -> str:
    known = next((title for stem, title in PLOT_TITLES.items() if name.startswith(stem)), name)
    return f"{known} ({name})"
