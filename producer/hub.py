"""Fetching a checkpoint from the Hugging Face hub, safetensors only."""

from pathlib import Path

from producer.errors import ModelError

#: Weights as safetensors, never pickles; no code.
_WANTED = ["*.json", "*.safetensors", "*.txt", "*.model"]


def download_checkpoint(name: str) -> Path:
    """The local directory of a hub checkpoint, fetched now or before. Raises ModelError in one line."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return Path(snapshot_download(name, allow_patterns=_WANTED))
    except GatedRepoError:
        reason = "the hub asks for an accepted licence and a token (HF_TOKEN) for it"
    except RepositoryNotFoundError:
        reason = "the hub has no such model"
    except HFValidationError:
        reason = "that is not a hub id; one looks like OWNER/NAME"
    except (LocalEntryNotFoundError, OSError):
        reason = "the hub is out of reach and it was not fetched before"
    raise ModelError(f"the model {name} cannot be fetched: {reason}")
