"""How a version was made, in words."""

from collections.abc import Mapping
from typing import Any

from cli.output import counted, print_facts, say
from cli.training_check import show_training_check


def show_provenance(told: Mapping[str, Any]) -> None:
    """Print what is recorded of a version's training; nothing for one that was made elsewhere."""
    if not told:
        return
    say(f"\nMade by job {told['job']}")
    libraries = [f"{name} {version}" for name, version in told["libraries"].items()]
    print_facts(
        {
            "  base": f"{told['base']} (digest {told['base_digest']})",
            **({"  teacher": _teacher(told["teacher"])} if "teacher" in told else {}),
            "  data": f"digest {told['data']['digest']}",
            **{f"    {name}": _split(split) for name, split in told["data"]["splits"].items()},
            "  seconds": told["seconds"],
            "  device": told["device"],
            "  libraries": libraries,
        }
    )
    parameters = told["parameters"]
    say("  parameters")
    print_facts({f"    {name}": value for name, value in parameters.items() if name != "data"})
    if "data" in parameters:
        say("")
        show_training_check(parameters)


def _teacher(teacher: Mapping[str, Any]) -> str:
    return f"{teacher['model']} (digest {teacher['digest']})"


def _split(split: Mapping[str, Any]) -> str:
    return f"{counted(split['examples'], 'example')}, digest {split['digest']}"
