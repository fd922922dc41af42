"""Markdown tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, lined_up: bool = False) -> list[str]:
    """The lines of a Markdown table; a `|` within a cell is written as its entity.

    Args:
        header: the columns' titles.
        rows: one cell for each column, each as `str` shows it.
        lined_up: whether the columns are padded to one width, all but the first to the right, so that the text can be
            read as it is.

    Raises:
        ValueError: a row has another number of cells than the header.
    """
    lines = [[str(cell).replace("|", "&#124;") for cell in line] for line in (header, *rows)]
    for line in lines:
        if len(line) != len(header):
            raise ValueError(f"a table of {len(header)} columns has a row of {len(line)}: {', '.join(line)}")
    if not lined_up:
        return [_line(lines[0]), "|" + "---|" * len(header), *map(_line, lines[1:])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = "|" + "-" * (widths[0] + 2) + "|" + "".join("-" * (width + 1) + ":|" for width in widths[1:])
    padded = [
        _line([cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(pairs)])
        for pairs in (zip(line, widths, strict=True) for line in lines)
    ]
    return [padded[0], rule, *padded[1:]]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
