"""Predictions as columns: all of them for programs, and the few that a table has room for."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

from cli.formats import Column, Kind

#: The fields of Result, in their order.
RESULT_COLUMNS = (
    Column("review_id", Kind.INTEGER),
    Column("source", Kind.NAME),
    Column("external_id", Kind.TEXT),
    Column("model", Kind.NAME),
    Column("label", Kind.NAME),
    Column("score", Kind.NUMBER),
    Column("margin", Kind.NUMBER),
    Column("probabilities", Kind.PROBABILITIES),
    Column("tokens", Kind.INTEGER),
    Column("truncated", Kind.FLAG),
    Column("precision", Kind.NAME),
    Column("reading", Kind.NAME),
    Column("windows", Kind.INTEGER),
    Column("scored_at", Kind.TIME),
    Column("text", Kind.TEXT),
    Column("text_pair", Kind.TEXT),
    Column("metadata", Kind.JSON),
)
_SHOWN = {"id": "external_id", "label": "label", "score": "score", "model": "model", "text": "text"}


def columns_of(labels: tuple[str, ...] | None) -> list[Column]:
    """The columns; `labels` are those of the one model that speaks, None where there may be several."""
    return [replace(one, labels=labels) if one.kind is Kind.PROBABILITIES else one for one in RESULT_COLUMNS]


def shown(rows: Iterator[Sequence[Any]]) -> tuple[list[Column], Iterator[Sequence[Any]]]:
    """The columns of a table, and their values of each row."""
    places = {one.name: at for at, one in enumerate(RESULT_COLUMNS)}
    columns = [replace(RESULT_COLUMNS[places[field]], name=name) for name, field in _SHOWN.items()]
    return columns, map(itemgetter(*(places[field] for field in _SHOWN.values())), rows)
