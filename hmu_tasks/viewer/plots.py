"""Plots of the results as SVG text: trade-off, curves over the edit's strength, rates on every kind of prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmu_tasks.viewer.drawing import EDITED, INK, MUTED, canvas, colour, marker, styled, svg
from hmu_tasks.viewer.summary import NAMES, name_of
from hmu_tasks.viewer.table import CLOSURE, VIOLENCE, Cell, Record, Selection, find, knobs

WORDS = {VIOLENCE: "violence", "fid": "FID", "mm_safe": "MM-Safe", "r1": "R@1"}
PROBES = ("forget", "explicit", "implicit", "hard_benign", "benign", "retain")


def tradeoff(records: Sequence[Record], selection: Selection, *, metric: str = VIOLENCE) -> str | None:
    """Plot suppression (gap closed on forget prompts) against preservation (retain R@1 lost).

    One point per strength with 95 % intervals over the noise draws; the original stands at (0, 0) by
    definition and D_r at 100 %. None where the gap closure or retain R@1 was not measured.
    """
    model = selection.model
    before = find(records, method="original", split="retain", metric="r1", model=model)
    points = []
    for knob in knobs(records, method=selection.method, model=model):
        closed = find(
            records, method=selection.method, split="forget", metric=CLOSURE + metric, model=model, knob=knob
        )
        kept = find(records, method=selection.method, split="retain", metric="r1", model=model, knob=knob)
        if closed and kept:
            points.append((knob, closed, kept))
    if before is None or not points:
        return None
    with styled():
        figure, (axes,) = canvas(width=7.2, height=4.4)
        xs = np.array([100 * closed.mean for _, closed, _ in points])
        ys = np.array([before.mean - kept.mean for _, _, kept in points])
        axes.plot(xs, ys, color=EDITED, linewidth=1.2, alpha=0.5, zorder=2)
        for (knob, closed, kept), x, y in zip(points, xs, ys, strict=True):
            chosen = knob == selection.knob
            axes.errorbar(
                x,
                y,
                xerr=[[100 * (closed.mean - closed.low)], [100 * (closed.high - closed.mean)]],
                yerr=[[kept.high - kept.mean], [kept.mean - kept.low]],
                fmt="o",
                color=EDITED,
                markersize=10 if chosen else 6.5,
                markeredgecolor=INK if chosen else EDITED,
                markeredgewidth=1.6 if chosen else 0.8,
                elinewidth=1.0,
                capsize=2.5,
                zorder=4,
            )
        marks = [_reference(axes, 0.0, 0.0, "original")]
        retrained = find(records, method="retrain", split="retain", metric="r1", model=model)
        if retrained:
            marks.append(_reference(axes, 100.0, before.mean - retrained.mean, "retrain"))
        if selection.limit is not None:
            axes.axhline(selection.limit, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
            axes.annotate(
                f"limit {selection.limit:g}",
                (0.005, selection.limit),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                color=MUTED,
            )
        axes.set_xlabel(f"{WORDS.get(metric, metric)} gap closed on forget prompts (%)  → more like D_r")
        axes.set_ylabel("retain R@1 lost  ↓ better")
        axes.margins(x=0.12, y=0.14)
        for (knob, _, _), x, y in zip(points, xs, ys, strict=True):
            chosen = knob == selection.knob
            text = f"K = {knob}" + (" (selected)" if chosen else "")
            marks.append(_Mark(float(x), float(y), text, weight="bold" if chosen else "normal"))
        _label(figure, axes, marks)
        return svg(figure, "tradeoff")


def strength_curves(records: Sequence[Record], selection: Selection) -> str | None:
    """Plot violence, retain R@1 and retain FID over the edit's strength, with bands of the 95 % interval.

    Horizontal lines mark the original and D_r. Panels without figures are left out; None where none is left.
    """
    panels = [
        ("forget", VIOLENCE, "violence on forget prompts (%)  ↓", 100.0),
        ("retain", "r1", "retain R@1  ↑", 1.0),
        ("retain", "fid", "retain FID  ↓", 1.0),
    ]
    model = selection.model
    strengths = knobs(records, method=selection.method, model=model)
    drawn = []
    for split, metric, label, scale in panels:
        cells = [
            find(records, method=selection.method, split=split, metric=metric, model=model, knob=k)
            for k in strengths
        ]
        pairs = [(k, cell) for k, cell in zip(strengths, cells, strict=True) if cell]
        if pairs:
            drawn.append((split, metric, label, scale, pairs))
    if not drawn:
        return None
    with styled():
        figure, all_axes = canvas(1, len(drawn), width=3.3 * len(drawn) + 0.4, height=3.2)
        for axes, (split, metric, label, scale, pairs) in zip(all_axes, drawn, strict=True):
            # Equal steps: strengths double from one to the next, and 0 is allowed.
            places = np.arange(len(pairs))
            axes.fill_between(
                places,
                [scale * c.low for _, c in pairs],
                [scale * c.high for _, c in pairs],
                color=EDITED,
                alpha=0.18,
                linewidth=0,
            )
            axes.plot(places, [scale * c.mean for _, c in pairs], color=EDITED, marker="o", label="LCR")
            for place, (knob, cell) in zip(places, pairs, strict=True):
                if knob == selection.knob:
                    axes.plot(place, scale * cell.mean, "o", color=EDITED, markersize=10, markeredgecolor=INK)
            for method, dashes in (("original", (0, (5, 2))), ("retrain", (0, (1.5, 1.5)))):
                level = find(records, method=method, split=split, metric=metric, model=model)
                if level:
                    axes.axhline(
                        scale * level.mean,
                        color=colour(method),
                        linestyle=dashes,
                        linewidth=1.5,
                        label=NAMES[method],
                    )
            axes.set_xticks(places, [str(knob) for knob, _ in pairs])
            axes.set_xlabel("replaced codes K")
            axes.set_title(label)
        all_axes[0].get_lines()[0].set_label(NAMES.get(selection.method, selection.method))
        handles, labels = all_axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=3)
        return svg(figure, "strength")


def prompt_kinds(records: Sequence[Record], selection: Selection, *, metric: str = "violence") -> str | None:
    """Plot the rate of violent motions on every kind of prompt as bars per model; None where it was not measured."""
    methods = [("original", None), (selection.method, selection.knob), ("retrain", None)]
    cells: dict[tuple[str, str], Cell] = {}
    for method, knob in methods:
        for split in PROBES:
            cell = find(records, method=method, split=split, metric=metric, model=selection.model, knob=knob)
            if cell:
                cells[method, split] = cell
    splits = [split for split in PROBES if any((method, split) in cells for method, _ in methods)]
    if not splits:
        return None
    with styled():
        figure, (axes,) = canvas(width=7.2, height=3.6)
        axes.grid(visible=False, axis="x")
        width = 0.26
        for index, (method, knob) in enumerate(methods):
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
                label=name_of(method, knob),
            )
        counts = {s: next(cells[m, s].n for m, _ in methods if (m, s) in cells) for s in splits}
        axes.set_xticks(range(len(splits)), [f"{s.replace('_', ' ')}\nn = {counts[s]}" for s in splits])
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("motions judged violent (%)")
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.legend(loc="upper right")
        return svg(figure, "prompts")


@dataclass(frozen=True)
class _Mark:
    """A point with its name, which is written where there is room."""

    x: float
    y: float
    text: str
    colour: str = INK
    weight: str = "normal"


def _reference(axes: Axes, x: float, y: float, method: str) -> _Mark:
    axes.plot(x, y, marker(method), color=colour(method), markersize=9, zorder=4)
    return _Mark(x, y, NAMES[method], colour(method), "bold")


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
            fontweight=mark.weight,
            zorder=5,
        )
