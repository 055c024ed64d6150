"""Charts as SVG that takes its colours from the page around it, is read aloud by its name, and holds no script."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from xml.etree.ElementTree import Element, SubElement

import pygal
from markupsafe import Markup
from pygal.style import Style

Chart = TypeVar("Chart", bound=pygal.graph.graph.Graph)

#: In units of the drawing, which a phone shows at some three quarters of their size.
WIDTH, HEIGHT = 400, 270
_TEXT = 14
#: Colours that stay apart side by side; the page says which they are.
COLOURS = ("--first", "--second", "--third", "--fourth", "--fifth")
#: That of all that has no colour of its own.
REST_COLOUR = "--rest"
#: What XML cannot hold, and JSON can.
_UNPRINTABLE = dict.fromkeys((*range(32), 0x7F, 0xFFFE, 0xFFFF), " ")

_STYLE: dict[str, Any] = {
    "background": "transparent",
    "plot_background": "transparent",
    "foreground": "var(--quiet)",
    "foreground_strong": "var(--ink)",
    "foreground_subtle": "var(--line)",
    "guide_stroke_color": "var(--line)",
    "major_guide_stroke_color": "var(--line)",
    "font_family": "inherit",
    "value_font_family": "inherit",
    "label_font_size": _TEXT,
    "major_label_font_size": _TEXT,
    "legend_font_size": _TEXT,
    "title_font_size": _TEXT,
    "value_font_size": _TEXT - 1,
    "stroke_width": "2",
    "stroke_opacity": "1",
    "opacity": "1",
}


def new_chart(kind: Callable[..., Chart], name: str, colours: Sequence[str] = COLOURS, **config: Any) -> Chart:
    """A chart in the page's style; `name` tells it from the page's other ones."""
    defaults = {
        "style": Style(colors=tuple(f"var({colour})" for colour in colours), **_STYLE),
        "width": WIDTH,
        "height": HEIGHT,
        "margin": 6,
        "margin_right": 24,
        "margin_bottom": 24,
        "js": [],
        "min_scale": 3,
        "max_scale": 8,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": 2,
        "legend_box_size": 10,
        "truncate_label": -1,
        "disable_xml_declaration": True,
    }
    chart = kind(**(defaults | config))
    # One that is given, so that the same figures make the same page.
    chart.uuid = name
    return chart


def draw(chart: pygal.graph.graph.Graph, said: str) -> Markup:
    """The drawing, and for those who do not see it what it shows."""
    chart.add_xml_filter(_without_scripts)
    chart.add_xml_filter(_with_tooltips)
    chart.add_xml_filter(lambda svg: _named(svg, said))
    return Markup(chart.render(is_unicode=True))  # noqa: S704  (names are escaped by the charting library)


def printable(name: str) -> str:
    """A name that anybody may have given, as XML can hold it."""
    return name.translate(_UNPRINTABLE)


def _without_scripts(svg: Element) -> Element:
    for parent in svg.iter():
        for child in list(parent):
            if child.tag == "script" or "tooltip-overlay" in child.get("class", ""):
                parent.remove(child)
    return svg


def _with_tooltips(svg: Element) -> Element:
    """What the charting library's script would show at the pointer, the browser shows by itself."""
    for parent in svg.iter():
        told = {one.get("class"): one.text or "" for one in parent if one.tag == "desc"}
        for one in [one for one in parent if one.tag == "desc"]:
            parent.remove(one)
        if "value" in told:
            title = SubElement(parent, "title")
            title.text = ": ".join(filter(None, (told.get("x_label"), told["value"])))
    return svg


def _named(svg: Element, said: str) -> Element:
    svg.set("role", "img")
    svg.set("aria-label", printable(said))
    for element in svg.iter():
        # Every chart of a page has the same ones; without a script nothing asks for them.
        if element.get("id", "").startswith("activate-serie"):
            del element.attrib["id"]
    for title in svg.findall("title"):
        svg.remove(title)
    return svg
