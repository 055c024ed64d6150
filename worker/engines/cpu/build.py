"""The builder of artefacts: `python -m worker.engines.cpu.build float32 CHECKPOINT FOLDER`.

A process of its own, started by worker.engines.cpu.artefacts. Its last line on standard error says what went
wrong. Libraries that only building needs are imported where they are used.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from worker.errors import CheckpointLoadError

#: The exit code that says so.
CHECKPOINT_AT_FAULT = 3


def main(arguments: Sequence[str]) -> int:
    """Build what is asked for into an empty or new folder; return the exit code."""
    _kind, checkpoint, folder = arguments
    try:
        build_float32(Path(checkpoint), Path(folder))
    except CheckpointLoadError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return CHECKPOINT_AT_FAULT
    return 0


def build_float32(checkpoint: Path, folder: Path) -> None:
    """Write the tokenizer and the float32 graph of a checkpoint. Raises CheckpointLoadError and OSError."""
    import openvino as ov

    from worker.checkpoints.tokenizer import load_tokenizer
    from worker.checkpoints.weights import named, read_weights
    from worker.engines.openvino.graph import build_graph

    folder.mkdir(parents=True, exist_ok=True)
    weights = read_weights(checkpoint)
    try:
        graph = build_graph(weights)
    except CheckpointLoadError as error:
        raise named(checkpoint, error) from error
    load_tokenizer(checkpoint).save(folder)
    ov.save_model(graph, folder / "float32.xml", compress_to_fp16=False)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
