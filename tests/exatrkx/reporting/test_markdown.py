"""Markdown tables, to the letter."""

from __future__ import annotations

import pytest

from exatrkx.reporting.markdown import markdown_table

HEADER = ("stage", "ms")


def test_plain() -> None:
    assert markdown_table(HEADER, [("a|b", 1), ("c", 2.5)]) == [
        "| stage | ms |",
        "|---|---|",
        "| a&#124;b | 1 |",
        "| c | 2.5 |",
    ]


def test_lined_up() -> None:
    assert markdown_table(HEADER, [("neighbours", 1), ("c", 12345)], lined_up=True) == [
        "| stage      |    ms |",
        "|------------|------:|",
        "| neighbours |     1 |",
        "| c          | 12345 |",
    ]


def test_without_rows() -> None:
    assert markdown_table(HEADER, []) == ["| stage | ms |", "|---|---|"]


@pytest.mark.parametrize("row", [("a",), ("a", 1, 2)])
def test_a_row_of_another_length_is_refused(row: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match=f"a table of 2 columns has a row of {len(row)}"):
        markdown_table(HEADER, [row])
