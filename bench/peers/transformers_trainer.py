"""The transformers Trainer on PyTorch: how most people fine-tune a classifier.

`python -m bench.peers.transformers_trainer TASK.json`; see bench.finetuning for what the task holds. Prints seconds,
accuracy and the most memory, as JSON.
"""

import argparse
import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from bench.peers.task import cores

_EVALUATION_BATCH = 64


def main() -> None:
    """Train and then classify what was held out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("task", type=Path)
    task = json.loads(parser.parse_args().task.read_text(encoding="utf-8"))
    torch.set_num_threads(cores())
    transformers.logging.set_verbosity_error()
    labels = sorted({label for _, label in task["train"]})
    transformers.set_seed(task["seed"])
    model = transformers.AutoModelForSequenceClassification.from_pretrained(task["model"], num_labels=len(labels))
    tokenizer = transformers.AutoTokenizer.from_pretrained(task["model"])
    train, held_out = (_encode(tokenizer, task[part], labels, task["max_length"]) for part in ("train", "held_out"))
    trainer = transformers.Trainer(
        model,
        _arguments(task),
        train_dataset=train,
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
    )
    trained = trainer.train()
    trainer.save_model()
    # Grouping by length puts what is predicted in an order of its own, too: the labels come along in it.
    predicted = trainer.predict(held_out)
    right = np.argmax(predicted.predictions, axis=1) == predicted.label_ids
    answer = {
        "training_s": trained.metrics["train_runtime"],
        "steps": trained.global_step,
        "accuracy": float(right.mean()),
        "threads": torch.get_num_threads(),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(answer))  # noqa: T201


def _encode(tokenizer: Any, rows: list[list[str]], labels: list[str], max_length: int) -> list[dict[str, Any]]:
    encoded = tokenizer([text for text, _ in rows], truncation=True, max_length=max_length, padding=False)
    return [
        {"labels": labels.index(label), **{name: encoded[name][row] for name in encoded}}
        for row, (_, label) in enumerate(rows)
    ]


def _arguments(task: dict[str, Any]) -> transformers.TrainingArguments:
    return transformers.TrainingArguments(
        output_dir=task["folder"],
        num_train_epochs=task["epochs"],
        per_device_train_batch_size=task["batch_size"],
        per_device_eval_batch_size=_EVALUATION_BATCH,
        learning_rate=task["learning_rate"],
        lr_scheduler_type="linear",
        # Below 1 it is a share of the steps.
        warmup_steps=0.1,
        weight_decay=0.01,
        max_grad_norm=1.0,
        train_sampling_strategy=task["sampling"],
        seed=task["seed"],
        bf16=task["bfloat16"],
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


if __name__ == "__main__":
    main()
