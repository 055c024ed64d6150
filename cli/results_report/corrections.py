"""How right the model is, by what people corrected."""

from sqlalchemy import Connection

from cli.results_report.sections import Section
from db.report_scope import ReportScope


def corrections_section(connection: Connection, scope: ReportScope) -> Section | None:
    """Accuracy over time by people's corrections; None where there are none: nobody can give any yet."""
    return None
