"""Plots of the codebook and of training as SVG text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hmu_tasks.viewer.drawing import EDITED, INK, MUTED, ORIGINAL, RETRAINED, canvas, styled, svg

# Prefixes of a history's names: the same quantity on training and on validation data.
HELD_OUT = ("val/", "val_")
PREFIXES = ("train/", "train_", *HELD_OUT)


def presence(usage: pd.DataFrame, *, edited: Sequence[int] = (), layer: int = 0) -> str | None:
    """Plot the number of forget against retain clips with each code of a layer; `edited` codes are marked.

    usage: columns layer, code, forget_clips, retain_clips. None where the layer has no code in use.
    """
    rows = usage[(usage["layer"] == layer) & (usage["forget_clips"] + usage["retain_clips"] > 0)]
    if rows.empty:
        return None
    chosen = rows["code"].isin(list(edited))
    with styled():
        figure, (axes,) = canvas(width=4.7, height=4.0)
        for mask, shade, mark, label in (
            (~chosen, MUTED, "o", "kept"),
            (chosen, ORIGINAL, "D", "replaced by the selected edit"),
        ):
            part = rows[mask]
            if len(part):
                axes.scatter(
                    part["retain_clips"] + 0.5,
                    part["forget_clips"] + 0.5,
                    s=26 if mark == "D" else 12,
                    marker=mark,
                    color=shade,
                    alpha=0.9 if mark == "D" else 0.55,
                    linewidths=0,
                    label=f"{label} ({len(part)})",
                )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("retain clips with the code (+ ½)")
        axes.set_ylabel("forget clips with the code (+ ½)")
        figure.legend(loc="outside lower left", ncols=2, handletextpad=0.2)
        axes.set_title(f"Code presence, layer {layer}")
        return svg(figure, f"presence{layer}")


def top_codes(
    usage: pd.DataFrame, *, score: str = "ratio", layer: int = 0, count: int = 24, edited: Sequence[int] = ()
) -> str | None:
    """Plot, for the highest scored codes of a layer, the share of the clips with the code that are forget clips."""
    rows = usage[(usage["layer"] == layer) & (usage["forget_clips"] + usage["retain_clips"] > 0)]
    if rows.empty or score not in usage.columns:
        return None
    order = [score, "forget_clips", "code"]
    rows = rows.sort_values(order, ascending=[False, False, True]).head(count).iloc[::-1]
    total = rows["forget_clips"] + rows["retain_clips"]
    share = 100 * rows["forget_clips"] / total
    chosen = rows["code"].isin(list(edited))
    with styled():
        figure, (axes,) = canvas(width=4.7, height=4.0)
        axes.grid(visible=False, axis="y")
        axes.barh(
            range(len(rows)), share, color=[ORIGINAL if c else MUTED for c in chosen], alpha=0.85, height=0.78
        )
        for place, (value, number) in enumerate(zip(share, total, strict=True)):
            axes.annotate(
                f"{number}",
                (value, place),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=6.5,
            )
        axes.set_yticks(range(len(rows)), [str(code) for code in rows["code"]], fontsize=6.5)
        axes.set_xlim(0, 108)
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.set_xlabel("share of forget clips among clips with the code (%)")
        axes.set_ylabel("code")
        axes.set_title(f"Highest {score.replace('_', '-')} scores, layer {layer} (number: clips)")
        return svg(figure, f"top{layer}")


def perplexity(usage: pd.DataFrame) -> str | None:
    """Plot the perplexity exp(H) of code use per layer, forget and retain, against the number of codes."""
    columns = {"forget": "forget_count", "retain": "retain_count"}
    if usage.empty or not set(columns.values()) <= set(usage.columns):
        return None
    layers = sorted(int(layer) for layer in usage["layer"].unique())
    size = int(usage.groupby("layer")["code"].nunique().max())
    with styled():
        figure, (axes,) = canvas(width=4.7, height=3.2)
        axes.grid(visible=False, axis="x")
        for index, (name, shade) in enumerate((("forget", ORIGINAL), ("retain", EDITED))):
            values = [usage_perplexity(usage[usage["layer"] == layer][columns[name]]) for layer in layers]
            places = [layer + (index - 0.5) * 0.38 for layer in range(len(layers))]
            axes.bar(places, values, width=0.35, color=shade, label=f"{name} clips")
        axes.axhline(size, color=INK, linewidth=1.0, linestyle=(0, (4, 3)), label=f"codes K = {size}")
        axes.set_xticks(range(len(layers)), [str(layer) for layer in layers])
        axes.tick_params(axis="x", length=0)
        axes.set_xlabel("quantizer layer")
        axes.set_ylabel("perplexity (codes)")
        axes.set_ylim(0, size * 1.32)
        axes.legend(loc="upper right", ncols=3, columnspacing=1.0, handlelength=1.4)
        axes.set_title("Code use")
        return svg(figure, "perplexity")


def usage_perplexity(counts: "pd.Series[int]") -> float:
    """Perplexity exp(entropy) of occurrence counts [K]; 0 where nothing was counted."""
    values = counts.to_numpy(dtype=float)
    if values.sum() == 0:
        return 0.0
    p = values[values > 0] / values.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def training_curves(histories: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Plot every component's history, one SVG per kind of component, one panel per quantity.

    histories: component folder name -> columns step, name, value. Variants (`-full`, `-retrain`) share panels;
    validation curves are dashed. A component with an empty history is left out.
    """
    kinds: dict[str, dict[str, pd.DataFrame]] = {}
    for component in sorted(histories):
        kind, _, variant = component.rpartition("-")
        if variant not in ("full", "retrain"):
            kind, variant = component, ""
        if len(histories[component]):
            kinds.setdefault(kind, {})[variant] = histories[component]
    return {kind: _curves(kind, variants) for kind, variants in kinds.items()}


def _curves(kind: str, variants: Mapping[str, pd.DataFrame]) -> str:
    names = sorted({str(name) for history in variants.values() for name in history["name"]})
    quantities = sorted({_quantity(name) for name in names}, key=lambda q: ("loss" not in q, q))[:6]
    columns = min(3, len(quantities))
    rows = -(-len(quantities) // columns)
    shades = {"full": EDITED, "retrain": RETRAINED, "": INK}
    with styled():
        figure, all_axes = canvas(rows, columns, width=2.9 * columns + 0.3, height=2.15 * rows + 0.35)
        for axes, quantity in zip(all_axes, quantities, strict=False):
            for variant, history in variants.items():
                for name in names:
                    part = history[history["name"] == name]
                    if _quantity(name) != quantity or part.empty:
                        continue
                    label = {"full": "trained on all", "retrain": "trained on retain (D_r)"}.get(
                        variant, "training"
                    )
                    axes.plot(
                        part["step"],
                        part["value"],
                        color=shades[variant],
                        linewidth=1.3,
                        linestyle=(0, (4, 1.5)) if name.startswith(HELD_OUT) else "-",
                        label=label + (", validation" if name.startswith(HELD_OUT) else ""),
                    )
            axes.set_title(quantity.replace("_", " "))
            axes.set_xlabel("step")
        for axes in all_axes[len(quantities) :]:
            axes.set_axis_off()
        found: dict[str, Any] = {}
        for axes in all_axes[: len(quantities)]:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                found.setdefault(label, handle)
        if len(found) > 1:
            figure.legend(list(found.values()), list(found), loc="outside upper left", ncols=2)
        return svg(figure, f"history-{kind}")


def _quantity(name: str) -> str:
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name
