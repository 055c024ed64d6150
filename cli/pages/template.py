"""Templates that escape all that they are given, and find what pages have in common."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cli.output import share

_SHARED = Path(__file__).parent


def render(folder: Path, name: str, **values: Any) -> str:
    """A page, whole in one document, from a template of the folder that extends `layout.html`."""
    environment = Environment(
        loader=FileSystemLoader([folder, _SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = share
    return environment.get_template(name).render(**values)
