"""The reviews that a page shows: the surest and the middling of each label, and the least sure of all."""

from sqlalchemy import Connection

from cli.results_report.palette import Palette
from cli.results_report.sections import Reviews, Section
from db.report_reviews import highest, least_sure, lowest, middle
from db.report_scope import ReportScope

#: Of each label, and of all.
_OF_LABEL, _LEAST_SURE = 3, 6


def examples_sections(connection: Connection, scope: ReportScope, palette: Palette) -> list[Section]:
    """The most extreme, the most typical and the most uncertain reviews."""
    if scope.gives_numbers:
        return _of_numbers(connection, scope)
    surest = [Reviews(label, highest(connection, scope, label, _OF_LABEL)) for label in palette.labels]
    typical = [Reviews(label, middle(connection, scope, label, _OF_LABEL)) for label in palette.labels]
    uncertain = Reviews("", least_sure(connection, scope, _LEAST_SURE))
    return [
        Section("Most extreme", "The highest probability of each label.", reviews=surest),
        Section(
            "Most typical", "In the middle of their label: it is surer of half, and less sure of half.", reviews=typical
        ),
        Section(
            "Most uncertain", "Closest to another answer. A person's word is worth most here.", reviews=[uncertain]
        ),
    ]


def _of_numbers(connection: Connection, scope: ReportScope) -> list[Section]:
    (label,) = scope.model.labels
    extreme = [
        Reviews("Highest", highest(connection, scope, label, _OF_LABEL)),
        Reviews("Lowest", lowest(connection, scope, label, _OF_LABEL)),
    ]
    typical = [Reviews("", middle(connection, scope, label, _OF_LABEL))]
    return [
        Section("Most extreme", reviews=extreme),
        Section("Most typical", "Around the median: half of the numbers are higher, and half lower.", reviews=typical),
    ]
