"""A small table of ready texts, written for a terminal or as Markdown."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 118  # columns of a terminal that a note fills


@dataclass(frozen=True)
class Grid:
    """A table: head and rows of equal length, a title, a note below, and the rows that are set in bold."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    note: str = ""
    bold: frozenset[int] = frozenset()


def grid_text(grid: Grid) -> str:
    """Write a table for a terminal: aligned columns, a rule under the head, the note below."""
    lines = [grid.head, *grid.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(grid.head))]
    aligned = [
        "  ".join(
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    aligned.insert(1, "─" * len(aligned[0]))
    title = [grid.title, ""] if grid.title else []
    return "\n".join([*title, *aligned, *(("", wrap(grid.note)) if grid.note else ())]) + "\n"


def grid_markdown(grid: Grid) -> str:
    """Write a table as Markdown: the first column to the left, all others to the right."""
    lines = ["| " + " | ".join(grid.head) + " |", "|---|" + "---:|" * (len(grid.head) - 1)]
    for index, (label, *cells) in enumerate(grid.rows):
        name = f"**{label}**" if index in grid.bold and label else label
        lines.append("| " + " | ".join([name, *cells]) + " |")
    title = [f"### {grid.title}", ""] if grid.title else []
    return "\n".join([*title, *lines, *(("", grid.note) if grid.note else ())]) + "\n"


def wrap(text: str) -> str:
    """Break a paragraph for a terminal."""
    return textwrap.fill(text, WIDTH)


def joined(grids: Sequence[Grid], *, markdown: bool = False) -> str:
    """Write tables one below the other."""
    return "\n".join(grid_markdown(grid) if markdown else grid_text(grid) for grid in grids)
