"""Every setting: its value, fit to be shown, where that comes from, and what it means."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from cli.checks.masking import MASK, masked_value
from cli.checks.patient import SETTINGS, in_environment, variable


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting as it is in force. `value` is None where nothing is set; `source` is environment, file or default."""

    name: str
    value: str | None
    source: str
    meaning: str


def setting_rows() -> list[SettingRow]:
    """Every setting of every room, once, a room after another."""
    fields: dict[str, FieldInfo] = {}
    for kind in SETTINGS:
        for name, field in kind.model_fields.items():
            fields.setdefault(name, field)
    return [_row(name, field) for name, field in fields.items()]


def _row(name: str, field: FieldInfo) -> SettingRow:
    said, meaning = in_environment(variable(name)), field.description or ""
    if said is not None:
        return SettingRow(variable(name), _shown(name, field, said), "environment", meaning)
    if in_environment(variable(f"{name}_file")) is not None:
        return SettingRow(variable(name), MASK, "file", meaning)
    return SettingRow(variable(name), _told(field.get_default(call_default_factory=True)), "default", meaning)


def _told(default: object) -> str | None:
    if default in (None, "") or isinstance(default, SecretStr):
        return None
    return f"{default:g}" if isinstance(default, float) else str(default)


def _shown(name: str, field: FieldInfo, value: str) -> str:
    # Where a secret is kept is none.
    if name.endswith("_file"):
        return value
    return MASK if value and field.annotation is SecretStr else masked_value(name, value)


def known_variables() -> Iterator[str]:
    """The variables of all settings."""
    for kind in SETTINGS:
        yield from map(variable, kind.model_fields)
