"""ONNX Runtime on batches sorted by length: the very batches that Reviewmill cuts.

`python -m bench.peers.onnx_runtime --graph int8.onnx --batches batches.json ...`, the batches being lists of indices.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import transformers

from bench.peers.task import Answer, Timed, cores, print_answer, read_task, read_texts, time_batches


def main() -> None:
    """Tokenize all texts and infer batch by batch; tokenizing is on the clock, cutting the batches is not."""
    began = time.perf_counter()
    task = read_task(graph=Path, batches=Path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(task.model)
    config = transformers.AutoConfig.from_pretrained(task.model)
    session = _open(task.graph)
    texts, warm_up = read_texts(task.texts), read_texts(task.warm_up)
    _classify(session, tokenizer, warm_up[:8], [[*range(8)]], task)
    load_s = time.perf_counter() - began
    tokenize_s, encoded, timed = _classify(session, tokenizer, texts, json.loads(task.batches.read_text()), task)
    tokens, batch_tokens = timed.tokens([len(ids) for ids in encoded])
    print_answer(
        Answer(
            reviews=timed.reviews,
            seconds=tokenize_s + timed.seconds,
            first_result_s=tokenize_s + timed.first_result_s,
            load_s=load_s,
            tokens=tokens,
            batch_tokens=batch_tokens,
            threads=cores(),
            probabilities=_probabilities(timed, config.id2label) if task.probabilities else [],
        )
    )


def _open(graph: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def _classify(
    session: Any, tokenizer: Any, texts: list[str], batches: list[list[int]], task: Any
) -> tuple[float, list[list[int]], Timed]:
    began = time.perf_counter()
    encoded = tokenizer(texts, truncation=True, max_length=task.max_tokens)["input_ids"]
    tokenize_s = time.perf_counter() - began
    timed = time_batches(
        batches, lambda batch: _infer(session, [encoded[i] for i in batch], tokenizer.pad_token_id), task.seconds
    )
    return tokenize_s, encoded, timed


def _infer(session: Any, rows: list[list[int]], padding_id: int) -> np.ndarray:
    shape = (len(rows), max(map(len, rows)))
    ids, mask = np.full(shape, padding_id, np.int64), np.zeros(shape, np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, 1
    return session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]


def _probabilities(timed: Timed, names: dict[int, str]) -> list[dict[str, float]]:
    rows: dict[int, dict[str, float]] = {}
    for batch, logits in timed.answers:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        for index, row in zip(batch, powers / powers.sum(axis=1, keepdims=True), strict=True):
            rows[index] = {names[column]: float(value) for column, value in enumerate(row)}
    return [rows[index] for index in sorted(rows)]


if __name__ == "__main__":
    main()
