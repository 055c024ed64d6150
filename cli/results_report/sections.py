"""What a page is made of: sections of figures, charts, tables and reviews, in the order in which they are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from db.report_reviews import ShownReview


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and what stands above it."""

    title: str
    drawing: Markup


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under their columns, the first of which names the row. One that is `folded` is seen when asked for.

    Where it `is_wide` rows are named by sentences.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    folded: bool = False
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Reviews:
    """Reviews that have something in common."""

    title: str
    reviews: Sequence[ShownReview]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a sentence about what follows, and what there is of it."""

    title: str
    note: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    reviews: Sequence[Reviews] = ()
