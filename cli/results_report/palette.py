"""Which labels have a colour of their own, the same in every chart of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cli.pages.charts import COLOURS, REST_COLOUR

#: What those labels are called together that have no colour of their own.
REST = "other labels"


@dataclass(frozen=True, slots=True)
class Palette:
    """The labels that are shown by name, with their colours; `REST` is the last where there are others."""

    colours: Mapping[str, str]

    @property
    def labels(self) -> list[str]:
        """The labels that are shown by name."""
        return [label for label in self.colours if label != REST]

    @property
    def names(self) -> list[str]:
        """The same, and REST if there are others."""
        return list(self.colours)

    def name_of(self, label: str) -> str:
        """What a label is shown as."""
        return label if label in self.colours else REST


def choose_palette(labels: Sequence[str], by_frequency: Sequence[str], *, exclude_one_another: bool) -> Palette:
    """Colours for the labels of a model: in its own order where all can be told apart, else for the most frequent.

    The others are told of together only where labels exclude one another: else a review may have several of them.
    """
    if len(labels) > len(COLOURS):
        frequent = [*by_frequency, *(label for label in labels if label not in by_frequency)]
        return Palette(
            dict(zip(frequent, COLOURS, strict=False)) | ({REST: REST_COLOUR} if exclude_one_another else {})
        )
    # Of two the second is what is found, as in negative and positive, and has the page's first colour.
    colours = COLOURS[1::-1] if len(labels) == 2 else COLOURS
    return Palette(dict(zip(labels, colours, strict=False)))
