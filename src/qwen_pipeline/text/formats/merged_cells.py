"""Cells of a sheet that were merged over several rows: the value stands in the first one, and means all of them."""

from collections.abc import Iterable, Mapping
from typing import Any

Cell = tuple[int, int]  # row and column, from 0
NumberedRow = tuple[int, list[Any]]  # the row's number in the sheet, from 1, and its cells


def fill_merged(rows: list[NumberedRow], ranges: Iterable[tuple[Cell, Cell]]) -> set[Cell]:
    """Write the values of merged cells into the rows below their first, and tell which cells these are.

    Args:
        rows: The rows below the header that are not blank; their cells are changed.
        ranges: First and last cell of each range that was merged in the sheet; those that begin elsewhere are left alone.
    """
    by_row = {number - 1: cells for number, cells in rows}
    last = max(by_row, default=0)
    filled: set[Cell] = set()
    for (top, column), (bottom, _) in ranges:
        if top not in by_row or column >= len(by_row[top]):
            continue
        for row in range(top + 1, min(bottom, last) + 1):
            if row in by_row and column < len(by_row[row]):
                by_row[row][column] = by_row[top][column]
                filled.add((row, column))
    return filled


def join_answers(rows: list[NumberedRow], filled: set[Cell], columns: Mapping[str, int]) -> list[NumberedRow]:
    """The rows with those joined that answer one question: its cell spans them, and each has a part of the answer.

    Args:
        rows: As they were given to ``fill_merged``.
        filled: What it told.
        columns: Where the question and the answer stand, by role.
    """
    if not filled or not {"question", "answer"} <= columns.keys():
        return rows
    joined: list[NumberedRow] = []
    for number, cells in rows:
        if not joined or (number - 1, columns["question"]) not in filled:
            joined.append((number, cells))
        elif (number - 1, columns["answer"]) not in filled:
            answer = joined[-1][1]
            parts = (str(row[columns["answer"]]).strip() for row in (answer, cells))
            answer[columns["answer"]] = "\n".join(part for part in parts if part)
    return joined
