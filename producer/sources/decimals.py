"""Decimal numbers of tables, which no other source has."""

from decimal import Decimal


def as_number(value: Decimal) -> int | float:
    """The whole number that it is, however long, or the nearest float."""
    return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
