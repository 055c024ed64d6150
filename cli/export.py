"""`reviewmill models export`: a version as a directory of its own, for whatever loads Hugging Face checkpoints."""

import shutil
from pathlib import Path

import click

from cli.model_card import model_card
from cli.output import json_option, print_json, say
from db.checkpoint import checkpoint_files
from db.model_files import ModelFiles
from db.registry import RegisteredModel, find_model
from db.schema import open_database

_CARD = "README.md"


@click.command("export")
@click.argument("model")
@click.argument("directory", type=click.Path(path_type=Path))
@json_option
def command(model: str, directory: Path, as_json: bool) -> None:
    """Copy a version to DIRECTORY, with a README.md that says what it is: config, tokenizer and safetensors.

    The directory must be new or empty. `transformers` loads it, with PyTorch too.
    """
    with open_database().read() as connection:
        found = find_model(connection, model)
    folder = ModelFiles().checked(found)
    try:
        _copy_whole(found, folder, directory.resolve())
    except OSError as error:
        raise click.ClickException(f"{directory} cannot be written: {error.strerror}") from error
    _tell(found, directory, as_json)


def _copy_whole(model: RegisteredModel, folder: Path, target: Path) -> None:
    """Fill a folder beside the target and rename it there: it is seen whole or not at all."""
    # Told now and not after a copy; the rename refuses it too, should anything appear there meanwhile.
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise click.ClickException(f"{target} is there and not an empty directory; name a new or an empty one")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        for path in checkpoint_files(folder):
            shutil.copyfile(path, partial / path.name)
        (partial / _CARD).write_text(model_card(model), encoding="utf-8")
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _tell(model: RegisteredModel, directory: Path, as_json: bool) -> None:
    if as_json:
        files = sorted(path.name for path in directory.iterdir())
        print_json({"model": model.reference, "directory": str(directory.absolute()), "files": files})
    else:
        say(f"{model.reference} is in {directory}; load it with transformers, or read {directory / _CARD}")
