"""Plots of the results as SVG text: trade-off, curves over the edit's strength, rates on every kind of prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmu_tasks.metrics.records import ENDS
from hmu_tasks.viewer.drawing import INK, MUTED, canvas, colour, marker, styled, svg
from hmu_tasks.viewer.summary import name_of, strength_axis
from hmu_tasks.viewer.table import (
    CLASSIFIERS,
    CLOSURE,
    VIOLENCE,
    Cell,
    Record,
    Selection,
    find,
    strengths_of,
    worst,
)

# Every kind of prompt, forget prompts first.
KINDS = (
    "forget",
    "forget-keyword",
    "forget-free",
    "explicit",
    "implicit",
    "hard_benign",
    "benign",
    "retain",
)


def tradeoff(records: Sequence[Record], selections: Sequence[Selection], *, model: str) -> str | None:
    """Plot suppression against preservation on the validation split: one line per method, one point per strength.

    x: the floor-corrected violence rate of forget prompts, or without labels the gap closure of forget FID;
    y: retain R@1. Error bars are 95 % intervals; the original and D_r are points. None where nothing
    was measured on the validation split.
    """
    mine = [one for one in selections if one.model == model]
    metric, scale = next(
        (
            pair
            for pair in ((VIOLENCE, 100.0), (CLOSURE + "fid", 100.0))
            if any(
                r["metric"] == pair[0] and r["split"] == "forget-val" and r["model"] == model for r in records
            )
        ),
        ("", 1.0),
    )

    names = [one.corrected for one in CLASSIFIERS] if metric == VIOLENCE else [metric]

    def place(method: str, strength: int | None) -> tuple[Cell, Cell] | None:
        x = worst(records, names, method=method, split="forget-val", model=model, strength=strength)
        y = find(records, method=method, split="retain-val", metric="r1", model=model, strength=strength)
        return (x, y) if x and y else None

    lines = []
    for one in mine:
        strengths: list[int | None] = [*strengths_of(records, method=one.method, model=model)] or [None]
        points = [(strength, found) for strength in strengths if (found := place(one.method, strength))]
        if points:
            lines.append((one, points))
    before = find(records, method="original", split="retain-val", metric="r1", model=model)
    if before is None or not lines:
        return None
    with styled():
        figure, (axes,) = canvas(width=7.6, height=4.8)
        marks = []
        for one, points in lines:
            shade = colour(one.method)
            axes.plot(
                [scale * x.mean for _, (x, _) in points],
                [y.mean for _, (_, y) in points],
                color=shade,
                linewidth=1.2,
                alpha=0.6,
                zorder=2,
            )
            for index, (strength, (x, y)) in enumerate(points):
                chosen = strength == one.strength
                axes.errorbar(
                    scale * x.mean,
                    y.mean,
                    xerr=[[scale * max(0.0, x.mean - x.low)], [scale * max(0.0, x.high - x.mean)]],
                    yerr=[[max(0.0, y.mean - y.low)], [max(0.0, y.high - y.mean)]],
                    fmt=marker(one.method),
                    color=shade,
                    markersize=10 if chosen else 5.0,
                    markeredgecolor=INK if chosen else shade,
                    markeredgewidth=1.6 if chosen else 0.8,
                    elinewidth=0.9,
                    capsize=2.0,
                    zorder=5 if chosen else 4,
                    label=name_of(one.method) if index == 0 else None,
                )
                if chosen:
                    marks.append(_Mark(scale * x.mean, y.mean, name_of(one.method, strength), shade))
        for method, fixed in zip(ENDS, (0.0, 100.0), strict=True):
            level = find(records, method=method, split="retain-val", metric="r1", model=model)
            end = worst(records, names, method=method, split="forget-val", model=model)
            if level and (end or metric.startswith(CLOSURE)):
                across = scale * end.mean if end else fixed
                marks.append(_reference(axes, across, level.mean, method))
        limit = next((one.limit for one in mine if one.limit is not None), None)
        if limit is not None:
            axes.axhline(
                before.mean - limit,
                color=MUTED,
                linewidth=1.0,
                linestyle=(0, (4, 3)),
                label=f"limit: {limit:g} below the original",
            )
        closes = metric.startswith(CLOSURE)
        axes.set_xlabel(
            "forget FID gap closed (%)  → more like D_r"
            if closes
            else "violence on forget prompts, floor-corrected, worse classifier (%)  ← less"
        )
        axes.set_ylabel("retain R@1  ↑ better")
        axes.margins(x=0.1, y=0.12)
        figure.legend(loc="outside upper left", ncols=4, handletextpad=0.2, columnspacing=1.2)
        _label(figure, axes, marks)
        return svg(figure, f"tradeoff-{model}")


def strength_curves(records: Sequence[Record], selection: Selection) -> str | None:
    """Plot violence, retain R@1 and retain FID over one method's strength, on the validation split.

    Bands are 95 % intervals; horizontal lines mark the original and D_r. Panels without data are
    left out; None if none is left or the method has one strength.
    """
    panels = [
        ("forget-val", [one.corrected for one in CLASSIFIERS], "violence, worse classifier (%)  ↓", 100.0),
        ("retain-val", ["r1"], "retain R@1  ↑", 1.0),
        ("retain-val", ["fid"], "retain FID  ↓", 1.0),
    ]
    model, title = selection.model, name_of(selection.method)
    strengths = strengths_of(records, method=selection.method, model=model)
    shade = colour(selection.method)
    shown = []
    for split, names, label, scale in panels:
        cells = [
            worst(records, names, method=selection.method, split=split, model=model, strength=k)
            for k in strengths
        ]
        pairs = [(k, cell) for k, cell in zip(strengths, cells, strict=True) if cell]
        if pairs:
            shown.append((split, names, label, scale, pairs))
    if not shown or len(strengths) < 2:
        return None
    with styled():
        figure, all_axes = canvas(1, len(shown), width=3.3 * len(shown) + 0.4, height=3.0)
        for axes, (split, names, label, scale, pairs) in zip(all_axes, shown, strict=True):
            # Equal steps: strengths double from one to the next, and 0 is allowed.
            places = np.arange(len(pairs))
            axes.fill_between(
                places,
                [scale * c.low for _, c in pairs],
                [scale * c.high for _, c in pairs],
                color=shade,
                alpha=0.18,
                linewidth=0,
            )
            heights = [scale * c.mean for _, c in pairs]
            axes.plot(places, heights, color=shade, marker=marker(selection.method), label=title)
            for place, (strength, cell) in zip(places, pairs, strict=True):
                if strength == selection.strength:
                    axes.plot(
                        place,
                        scale * cell.mean,
                        marker(selection.method),
                        color=shade,
                        markersize=10,
                        markeredgecolor=INK,
                    )
            for method, dashes in zip(ENDS, ((0, (5, 2)), (0, (1.5, 1.5))), strict=True):
                level = worst(records, names, method=method, split=split, model=model)
                if level:
                    axes.axhline(
                        scale * level.mean,
                        color=colour(method),
                        linestyle=dashes,
                        linewidth=1.5,
                        label=name_of(method),
                    )
            axes.set_xticks(places, [str(strength) for strength, _ in pairs])
            axes.set_xlabel(strength_axis(selection.method))
            axes.set_title(label)
        handles, labels = all_axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=3)
        return svg(figure, f"strength-{model}-{selection.method}")


def prompt_kinds(records: Sequence[Record], selection: Selection) -> str | None:
    """Plot the flagged rate on every kind of prompt, by the worse classifier, as bars per model; None without one."""
    methods = [("original", None), (selection.method, selection.strength), ("retrain", None)]
    cells: dict[tuple[str, str], Cell] = {}
    for method, strength in methods:
        for split in KINDS:
            cell = worst(
                records,
                [one.rate for one in CLASSIFIERS],
                method=method,
                split=split,
                model=selection.model,
                strength=strength,
            )
            if cell:
                cells[method, split] = cell
    splits = [split for split in KINDS if any((method, split) in cells for method, _ in methods)]
    if not splits:
        return None
    with styled():
        figure, (axes,) = canvas(width=7.2, height=3.6)
        axes.grid(visible=False, axis="x")
        width = 0.26
        for index, (method, strength) in enumerate(methods):
            present = [(i, cells[method, s]) for i, s in enumerate(splits) if (method, s) in cells]
            if not present:
                continue
            means = np.array([100 * cell.mean for _, cell in present])
            spread = np.array([[100 * (c.mean - c.low), 100 * (c.high - c.mean)] for _, c in present]).T
            axes.bar(
                [i + (index - 1) * width for i, _ in present],
                means,
                width=width * 0.92,
                color=colour(method),
                yerr=np.maximum(spread, 0.0),
                error_kw={"elinewidth": 1.0, "ecolor": INK, "capsize": 2.0},
                label=name_of(method, strength),
            )
        counts = {s: next(cells[m, s].n for m, _ in methods if (m, s) in cells) for s in splits}
        names = [s.replace("_", "\n").replace("-", "\n") for s in splits]
        axes.set_xticks(
            range(len(splits)), [f"{name}\nn = {counts[s]}" for s, name in zip(splits, names, strict=True)]
        )
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("flagged, worse classifier (%)")
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.legend(loc="upper right")
        return svg(figure, f"prompts-{selection.model}")


@dataclass(frozen=True)
class _Mark:
    """A point with its name, which is written where there is room, and the colour of the line between them."""

    x: float
    y: float
    text: str
    line: str
    colour: str = INK


def _reference(axes: Axes, x: float, y: float, method: str) -> _Mark:
    axes.plot(x, y, marker(method), color=colour(method), markersize=9, zorder=4)
    return _Mark(x, y, name_of(method), colour(method), colour(method))


def _label(figure: Figure, axes: Axes, marks: Sequence[_Mark]) -> None:
    """Write each point's name beside it, on the side where it meets the fewest points and names."""
    figure.draw_without_rendering()  # the layout fixes where points lie
    spots = axes.transData.transform([(mark.x, mark.y) for mark in marks]) * 72 / figure.dpi
    frame = axes.get_window_extent()
    low_x, high_x = (edge * 72 / figure.dpi for edge in (frame.x0, frame.x1))
    taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in spots]
    # Right below, right above, left above, left below, further down, further up.
    offsets = ((8, -13), (8, 7), (-8, 7), (-8, -13), (12, -26), (12, 20), (-12, 20), (-12, -26))
    for mark, (px, py) in zip(marks, spots, strict=True):
        wide = 5.6 * len(mark.text)
        costs = []
        boxes = []
        for dx, dy in offsets:
            left = px + dx - (wide if dx < 0 else 0)
            box = (left, py + dy, left + wide, py + dy + 10)
            meets = sum(
                box[0] < other[2] and box[2] > other[0] and box[1] < other[3] and box[3] > other[1]
                for other in taken
            )
            costs.append(meets + 2 * (box[0] < low_x or box[2] > high_x + 20))
            boxes.append(box)
        best = int(np.argmin(costs))
        taken.append(boxes[best])
        axes.annotate(
            mark.text,
            (mark.x, mark.y),
            xytext=offsets[best],
            textcoords="offset points",
            ha="right" if offsets[best][0] < 0 else "left",
            color=mark.colour,
            fontweight="bold",
            zorder=5,
            bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.6},
            arrowprops={
                "arrowstyle": "-",
                "color": mark.line,
                "linewidth": 1.2,
                "relpos": (1.0 if offsets[best][0] < 0 else 0.0, 0.5),  # from the near end of the name
                "shrinkA": 0,
                "shrinkB": 4,
            },
        )
