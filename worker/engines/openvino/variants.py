"""The variants of one checkpoint that OpenVINO can serve: a graph, and what is computed that the graph leaves open."""

from dataclasses import dataclass

#: What is left out of int8 in the milder of the two: the layers whose inputs have the widest range of values.
DOWN_PROJECTIONS = "int8-but-down-projections"


@dataclass(frozen=True, slots=True)
class Variant:
    """A number format to serve in: its name, its graph's file, and the format needed of the CPU."""

    name: str
    graph: str
    needs: str


#: From the boldest to the safest; the guard takes the first that it lets pass.
LADDER = (
    Variant("int8", "int8", "int8"),
    Variant(DOWN_PROJECTIONS, DOWN_PROJECTIONS, "int8"),
    Variant("bfloat16", "float32", "bfloat16"),
)
FLOAT32 = Variant("float32", "float32", "float32")
#: The names of all that the guard may try, the safest last.
EVERY_RUNG = [*(variant.name for variant in LADDER), FLOAT32.name]


def variant_named(name: str) -> Variant:
    """Raises KeyError."""
    return {variant.name: variant for variant in (*LADDER, FLOAT32)}[name]


def compute_format(variant: Variant, formats: list[str]) -> str:
    """What the CPU computes in where the graph has float32: bfloat16 where it can and may."""
    return "bfloat16" if variant.name != "float32" and "bfloat16" in formats else "float32"
