"""The variants of one checkpoint that a CPU can serve: a graph, and what is computed that the graph leaves open."""

from dataclasses import dataclass
from pathlib import Path

from worker.engines.base import Engine

OPENVINO, ONNX = "openvino", "onnx"


@dataclass(frozen=True, slots=True)
class Variant:
    """A number format to serve in: its name, its graph's file, the library that runs it, what the CPU must compute.

    The milder kind of int8 leaves out the feed-forward down projections: their inputs have the widest range of values.
    """

    name: str
    graph: str
    runtime: str
    needs: str
    is_milder: bool = False


INT8 = Variant("int8", "int8.xml", OPENVINO, "int8")
#: For CPUs without instructions for products of 8-bit numbers: OpenVINO's are slow there, ONNX Runtime's are not.
DYNAMIC_INT8 = Variant("int8-dynamic", "int8-dynamic.onnx", ONNX, "float32")
MILDER_DYNAMIC_INT8 = Variant("int8-dynamic-but-down", "int8-dynamic-but-down.onnx", ONNX, "float32", is_milder=True)
#: From the boldest to the safest; the guard takes the first that it lets pass.
LADDER = (
    INT8,
    Variant("int8-but-down-projections", "int8-but-down-projections.xml", OPENVINO, "int8", is_milder=True),
    DYNAMIC_INT8,
    MILDER_DYNAMIC_INT8,
    Variant("bfloat16", "float32.xml", OPENVINO, "bfloat16"),
)
FLOAT32 = Variant("float32", "float32.xml", OPENVINO, "float32")
#: The names of all that the guard may try, the safest last.
EVERY_RUNG = [*(variant.name for variant in LADDER), FLOAT32.name]


def variant_named(name: str) -> Variant:
    """Raises KeyError."""
    return {variant.name: variant for variant in (*LADDER, FLOAT32)}[name]


def candidates(asked: str, engine: str) -> list[str]:
    """The names to choose from for a precision that is asked for; an engine that is a library leaves no other.

    Auto ends with float32, which is OpenVINO's and serves where nothing else may.
    """
    names = {"auto": EVERY_RUNG, INT8.name: [INT8.name, DYNAMIC_INT8.name]}.get(asked, [asked])
    others = {OPENVINO, ONNX} - {engine} if engine in (OPENVINO, ONNX) else set()
    return [name for name in names if name == FLOAT32.name or variant_named(name).runtime not in others]


def open_variant(variant: Variant, graph: Path) -> Engine:
    """Load a variant's graph with its library. Imports no other."""
    if variant.runtime == ONNX:
        from worker.engines.onnx.engine import OnnxEngine

        return OnnxEngine(graph)
    from worker.engines.openvino.engine import OpenVINOEngine, compute_formats

    formats = compute_formats() if variant != FLOAT32 else []
    # What a lower variant's graph leaves in float32 is computed in bfloat16 where the CPU can.
    return OpenVINOEngine(graph, "bfloat16" if "bfloat16" in formats else "float32")
