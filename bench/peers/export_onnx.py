"""Export a checkpoint to ONNX and quantize it, once: `python -m bench.peers.export_onnx MODEL FOLDER`."""

import sys
from pathlib import Path

import torch
import transformers
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process


class _Logits(torch.nn.Module):
    """The model without its output class, which the exporter would have to be told about."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def main() -> None:
    """Write float32.onnx, prepared.onnx and int8.onnx."""
    model, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    _export(model, folder / "float32.onnx")
    # As ONNX Runtime's guide has it: shapes and fused nodes first, or less would be quantized.
    quant_pre_process(folder / "float32.onnx", folder / "prepared.onnx", skip_symbolic_shape=True)
    quantize_dynamic(folder / "prepared.onnx", folder / "int8.onnx", weight_type=QuantType.QInt8)


def _export(model: str, path: Path) -> None:
    classifier = transformers.AutoModelForSequenceClassification.from_pretrained(model, attn_implementation="eager")
    example = torch.ones((2, 16), dtype=torch.int64)
    # With padding in it: of a mask that is all ones the exporter would keep nothing.
    mask = example.clone()
    mask[1, 8:] = 0
    sizes = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("length", min=2, max=512)}
    torch.onnx.export(
        _Logits(classifier.eval()),
        (example, mask),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_shapes=(sizes, sizes),
        dynamo=True,
        external_data=False,
    )


if __name__ == "__main__":
    main()
