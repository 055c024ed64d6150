"""In which precision a model serves, and the figures that decided it, in words."""

from collections.abc import Sequence
from typing import Any

from cli.output import say
from db.precisions import ChosenPrecision


def show_precisions(decisions: Sequence[ChosenPrecision]) -> None:
    """Print each decision, and beneath it what was tried."""
    if decisions:
        say("\nPrecision")
    for one in decisions:
        ordered = "" if one.asked == "auto" else ", as ordered"
        say(f"  {one.chosen} on {one.device} for {one.source}{ordered}")
        for rung in one.rungs:
            say(f"    {_tried(rung)}")


def _tried(rung: dict[str, Any]) -> str:
    if rung["reviews_per_second"] is None:
        return f"{rung['precision']}: {rung['refused']}"
    speed = f"{rung['precision']}: {rung['reviews_per_second']:,} reviews/s"
    figures = rung["figures"]
    if not figures:
        return speed
    drop = figures["accuracy_drop"]
    accuracy = "" if drop is None else f", accuracy {-drop:+.2%}"
    verdict = f"; refused: {rung['refused']}" if rung["refused"] else ""
    return (
        f"{speed}, {rung['speedup']:.2f} times float32; on {figures['texts']:,} texts {figures['sure_flips']:,} of "
        f"{figures['sure']:,} sure labels change, drift {figures['mean_drift']:.4f} mean, "
        f"{figures['p99_drift']:.4f} 99th percentile{accuracy}{verdict}"
    )
