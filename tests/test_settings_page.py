"""docs/settings.md tells of every setting there is, with the code's default, unit and bounds, and of none that is not.

Every setting is read by something, and those that several rooms have are the same in each.
"""

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import annotated_types
import pytest
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from tests.settings_classes import SETTINGS, environment_variables, is_read, own_fields
from worker.precision.guard import Limits

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "settings.md").read_text()
README = (ROOT / "README.md").read_text()
FIELDS = {name: field for kind in SETTINGS for name, field in kind.model_fields.items()}
#: By name: a row of the page, without the name.
ROWS = {
    name.lower(): {"default": default, "unit": unit, "allowed": allowed, "meaning": meaning}
    for name, default, unit, allowed, meaning in re.findall(
        r"^\| `REVIEWMILL_(\w+)` \| (.+?) \| (.+?) \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE
    )
}
BOTH = [name for name in FIELDS if name in ROWS]
#: Read by a name that is put together: see worker.precision.choose.
READ_BY_NAME = {f"guard_{name}" for name in Limits.__slots__}


def test_every_setting_is_documented_and_none_that_there_is_not() -> None:
    assert set(FIELDS) - set(ROWS) == set(), "not documented: add a row to docs/settings.md"
    assert set(ROWS) - set(FIELDS) == set(), "documented, but there is no such setting"
    named = re.findall(r"^\| `REVIEWMILL_(\w+)`", PAGE, re.MULTILINE)
    assert len(named) == len(ROWS), "a row with other columns, or a setting with two rows"


@pytest.mark.parametrize("name", BOTH)
def test_the_documented_default_is_the_codes(name: str) -> None:
    told, default = ROWS[name]["default"], _default(FIELDS[name])
    if isinstance(default, bool):
        assert told == f"`{str(default).lower()}`"
    elif isinstance(default, int | float):
        assert float(told.replace(",", "")) == default
    elif default:
        assert told == f"`{default}`"
    else:
        # What is then in force, in words.
        assert not re.fullmatch(r"[\d.,]+|`[^`]*`", told)


@pytest.mark.parametrize("name", BOTH)
def test_numbers_have_a_unit_which_is_seconds_where_the_name_says_so(name: str) -> None:
    unit = ROWS[name]["unit"]
    assert (unit != "–") == bool({int, float} & _types(FIELDS[name].annotation))
    assert (unit == "seconds") == name.endswith("_s")


@pytest.mark.parametrize("name", BOTH)
def test_the_documented_bounds_and_choices_are_the_codes(name: str) -> None:
    allowed, field = ROWS[name]["allowed"], FIELDS[name]
    choices, bounds = _choices(field.annotation), _bounds(field)
    if choices:
        assert set(re.findall(r"`([^`]+)`", allowed)) == choices
    if {int, float} & _types(field.annotation):
        assert {float(number.replace(",", "")) for number in re.findall(r"\d[\d.,]*", allowed)} == set(bounds.values())
        assert ("more than" in allowed) == ("gt" in bounds)
        assert ("at least" in allowed) == ("ge" in bounds and "le" not in bounds)
        assert (" to " in allowed) == ("ge" in bounds and "le" in bounds)


@pytest.mark.parametrize("kind", SETTINGS, ids=lambda kind: kind.__name__)
def test_every_setting_is_read_by_code_of_its_room_or_of_a_room_that_may_import_it(kind: type) -> None:
    unread = {name for name in own_fields(kind) if not is_read(kind, name)} - READ_BY_NAME
    assert not unread, f"dead: nothing reads them from {kind.__name__}"


def test_settings_of_several_rooms_are_the_same_in_each() -> None:
    shared = {}
    for kind in SETTINGS:
        for name, field in kind.model_fields.items():
            shared.setdefault(name, []).append((kind.__name__, field))
    assert {name for name, fields in shared.items() if len(fields) > 1} >= {"home", "chunk_size", "notify_secret"}
    for name, ((_, first), *others) in shared.items():
        for room, other in others:
            assert (other.annotation, _default(other)) == (first.annotation, _default(first)), (name, room)
            assert other.metadata == first.metadata, (name, room)


def test_every_setting_is_described_where_it_is_defined() -> None:
    for kind in SETTINGS:
        assert [name for name, field in kind.model_fields.items() if not field.description] == [], kind.__name__


def test_the_readme_tells_the_few_that_people_need_first_as_the_page_does() -> None:
    rows = re.findall(r"^\| `REVIEWMILL_(\w+)` \| .+ \| (.+) \|$", README, re.MULTILINE)
    assert {"HOME", "DATABASE_URL", "REDIS_URL"} <= {name for name, _ in rows}
    assert {name.lower(): default for name, default in rows}.items() <= {
        name: row["default"] for name, row in ROWS.items()
    }.items()
    assert "docs/settings.md" in README


def test_variables_of_others_that_our_code_looks_at_are_documented() -> None:
    documented = set(re.findall(r"`(\w+)`", PAGE.partition("## Variables of others")[2]))
    found = environment_variables()
    assert found >= {"TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"}
    assert found - documented == set()


def _default(field: FieldInfo) -> Any:
    default = field.get_default(call_default_factory=True)
    if field.default_factory is not None:
        # Of this machine: the page says in words what it is.
        return None
    return default.get_secret_value() if isinstance(default, SecretStr) else default


def _types(annotation: Any) -> set[Any]:
    return {annotation}.union(*(_types(part) for part in get_args(annotation) if not isinstance(part, str)))


def _choices(annotation: Any) -> set[str]:
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return set().union(*(_choices(part) for part in get_args(annotation) if not isinstance(part, str)))


def _bounds(field: FieldInfo) -> dict[str, float]:
    bounds = {}
    for part in [*field.metadata, *(one for one in _types(field.annotation) if isinstance(one, FieldInfo))]:
        for one in part.metadata if isinstance(part, FieldInfo) else [part]:
            for name, kind in {"ge": annotated_types.Ge, "gt": annotated_types.Gt, "le": annotated_types.Le}.items():
                if isinstance(one, kind):
                    bounds[name] = float(getattr(one, name))
    return bounds
