"""What a `scores.json` must look like to be drawn."""

from collections.abc import Mapping
from typing import Any

_BIN = ("probability", "accuracy", "count")


def problem(scores: Mapping[str, Any]) -> str:
    """What of a `scores.json` cannot be drawn, "" where nothing is wrong."""
    test = scores.get("test", {})
    if not isinstance(test, dict):
        return "its scores are not all numbers"
    numbers = {k: v for k, v in test.items() if k not in ("confusion", "mistakes", "calibration")}
    if not _are_numbers(numbers):
        return "its scores are not all numbers"
    confusion = test.get("confusion")
    if confusion is not None and not _is_confusion(confusion):
        return "test.confusion: labels and a square of counts were expected"
    mistakes = test.get("mistakes", [])
    if not isinstance(mistakes, list) or not all(isinstance(m, dict) for m in mistakes):
        return "test.mistakes: a list of objects was expected"
    if not _are_runs(scores.get("runs", [])):
        return "runs: a list of objects with their scores was expected"
    for key in ("mean", "sd"):
        if not _are_numbers(scores.get(key, {})):
            return f"{key}: an object of numbers was expected"
    calibrations = [place.get("calibration", {}) for place in (scores, test)]
    if not all(map(_is_calibration, calibrations)):
        return f"calibration: an object with bins of {', '.join(_BIN)} was expected"
    return ""


def _are_numbers(values: Any) -> bool:
    """Whether it is an object of numbers, or of such objects; what is not known is None."""
    return isinstance(values, dict) and all(
        _are_numbers(value) if isinstance(value, dict) else value is None or is_number(value)
        for value in values.values()
    )


def is_number(value: Any) -> bool:
    """Whether it is a number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_calibration(value: Any) -> bool:
    bins = value.get("bins", []) if isinstance(value, dict) else None
    return isinstance(bins, list) and all(
        isinstance(b, dict) and all(is_number(b.get(key)) for key in _BIN) for b in bins
    )


def _is_confusion(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("labels"), list):
        return False
    counts, size = value.get("counts"), len(value["labels"])
    return (
        isinstance(counts, list)
        and [
            len(row) if isinstance(row, list) and all(map(is_number, row)) else -1 for row in counts
        ]
        == [size] * size
    )


def _are_runs(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(run, dict) and _are_numbers(numbers_of(run.get("test") or {})) for run in value
    )


def numbers_of(scores: Any) -> dict[str, Any]:
    """The scores that are numbers themselves."""
    return {k: v for k, v in scores.items() if is_number(v)} if isinstance(scores, dict) else {}
