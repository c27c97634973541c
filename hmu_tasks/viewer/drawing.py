"""Shared style of all plots: colour-blind safe colours, axes, and byte-identical SVG."""

import io
import re
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from hmu_tasks.methods import METHODS, method_of

# Okabe and Ito's palette. Each role keeps its colour and marker in every plot.
INK, MUTED, GRID, PAPER = "#1b1f24", "#5b6570", "#d9dde2", "#ffffff"
ORIGINAL, EDITED, RETRAINED = "#d55e00", "#0072b2", "#009e73"
COLOURS = {"original": ORIGINAL, "retrain": RETRAINED}
MARKERS = {"original": "s", "retrain": "D"}

# On the page each colour follows the reader's light or dark setting; in a separate file it is fixed.
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    PAPER: "--card",
    ORIGINAL: "--original",
    EDITED: "--edited",
    RETRAINED: "--retrained",
}

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: searchable, small, in the page's own font
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 6.5,
}

FONTS = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def colour(method: str) -> str:
    """Colour of a method or reference; an unknown one gets that of edits."""
    return method_of(method).colour.light if method in METHODS else COLOURS.get(method, EDITED)


def marker(method: str) -> str:
    """Marker of a method or reference; an unknown one gets that of edits."""
    return method_of(method).marker if method in METHODS else MARKERS.get(method, "o")


def variable(method: str) -> str:
    """CSS variable of a method's colour."""
    return f"--method-{method}"


def method_styles() -> str:
    """Write the style sheet's variables: every method's colour on a light and on a dark page."""
    found = {variable(name): method_of(name).colour for name in METHODS}
    light, dark = (
        " ".join(f"{name}: {getattr(shades, page)};" for name, shades in found.items())
        for page in ("light", "dark")
    )
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def canvas(
    rows: int = 1, columns: int = 1, *, width: float = 7.2, height: float = 4.2
) -> tuple[Figure, list[Axes]]:
    """Make a figure of `width` x `height` inches with its axes in reading order, outside pyplot's global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.ravel())


def svg(figure: Figure, name: str) -> str:
    """Write a figure as SVG text: equal figures give equal bytes, and no id clashes with another plot's."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    # The metadata block carries addresses of vocabularies; nothing reads it here.
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r"font: ([^;\"]*?)px [^;\"]*", rf"font: \1px {FONTS}", text)


def inline(text: str, *, title: str) -> str:
    """Prepare SVG text for the page: colours become CSS variables, size follows the column, a name is read out."""
    for value, name in ({colour(method): variable(method) for method in METHODS} | VARIABLES).items():
        text = text.replace(value, f"var({name})")
    opening = re.search(r"<svg[^>]*>", text)
    assert opening is not None
    box = re.search(r'viewBox="([^"]*)"', opening.group())
    assert box is not None
    width = box.group(1).split()[2]
    safe = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    widest = f"max-width:{float(width) * 1.34:.0f}px"
    head = f'<svg viewBox="{box.group(1)}" role="img" aria-label="{safe}" style="{widest}">'
    return text.replace(opening.group(), head).replace("xlink:href", "href")


def styled() -> AbstractContextManager[None]:
    """Apply the shared style for as long as the block lasts."""
    return mpl.rc_context(STYLE)
