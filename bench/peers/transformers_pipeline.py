"""The transformers pipeline on PyTorch: how most people classify texts.

`python -m bench.peers.transformers_pipeline --precision bfloat16 --batch-size 32 --device cpu ...`
"""

import time

import torch
import transformers

from bench.peers.task import Answer, cores, print_answer, read_task, read_texts, time_batches


def main() -> None:
    """Classify the texts in the order they come in, as the pipeline batches them."""
    began = time.perf_counter()
    task = read_task(precision=str, batch_size=int, device=str)
    torch.set_num_threads(cores())
    transformers.logging.set_verbosity_error()
    pipeline = transformers.pipeline(
        "text-classification", task.model, device=task.device, dtype=getattr(torch, task.precision)
    )

    def classify(texts: list[str]) -> list[list[dict]]:
        return pipeline(texts, batch_size=task.batch_size, truncation=True, max_length=task.max_tokens, top_k=None)

    texts = read_texts(task.texts)
    classify(read_texts(task.warm_up)[: task.batch_size])
    load_s = time.perf_counter() - began
    batches = [list(range(len(texts)))[i : i + task.batch_size] for i in range(0, len(texts), task.batch_size)]
    timed = time_batches(batches, lambda batch: classify([texts[i] for i in batch]), task.seconds)
    # Counted after the clock: the pipeline tokenizes for itself.
    encoded = pipeline.tokenizer(texts[: timed.reviews], truncation=True, max_length=task.max_tokens)["input_ids"]
    tokens, batch_tokens = timed.tokens([len(ids) for ids in encoded])
    scores = [{one["label"]: one["score"] for one in row} for _, rows in timed.answers for row in rows]
    print_answer(
        Answer(
            reviews=timed.reviews,
            seconds=timed.seconds,
            first_result_s=timed.first_result_s,
            load_s=load_s,
            tokens=tokens,
            batch_tokens=batch_tokens,
            threads=cores(),
            probabilities=scores if task.probabilities else [],
        )
    )


if __name__ == "__main__":
    main()
