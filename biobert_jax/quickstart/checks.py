"""What the quickstart promises of its result, checked on what its commands wrote."""

import re
from collections.abc import Mapping, Sequence

LEAST_F1 = 0.85

# Of notes.jsonl: ordinary words in which earlier models saw diseases and drugs, and others like
# them. A reader who knows medicine would laugh at any of these.
UNTAGGED = (
    "58-year-old man",
    "yearly review",
    "The sensor",
    "low readings",
    "change his tablets",
    "Mrs. B.",
    "Blood cultures",
    "the same evening",
    "excluded by ultrasound",
    "day five",
    "oral",
    "the clinic in Orléans",
    "her gloves",
    "“unbearable at night”",
    "Inhaled",
    "25 µg",
    "the left leg",
    "before surgery",
    "No bleeding",
    "9-year-old girl",
    "Video monitoring",
    "letter was sent to the school",
    "second cycle",
    "on imaging",
    "Blood pressure",
    "his own doctor",
    "Hemoglobin and creatinine",
)


def tagging_faults(documents: Sequence[Mapping]) -> list[str]:
    """One line for each phrase that is tagged and must not be.

    Args:
      documents: lines of `tagged.jsonl`: `id`, `text` and `entities` with `start`, `end`, `type`.
    """
    faults = []
    for document in documents:
        for phrase in UNTAGGED:
            for found in re.finditer(rf"(?<!\w){re.escape(phrase)}(?!\w)", document["text"]):
                faults += [
                    f"{document['id']}: {phrase!r} must not be tagged: {entity['type']} "
                    f"{entity['text']!r}"
                    for entity in document["entities"]
                    if entity["start"] < found.end() and found.start() < entity["end"]
                ]
    return faults


def score_faults(f1: float) -> list[str]:
    """A line when the entity F1 of the test sentences is under `LEAST_F1`."""
    if f1 >= LEAST_F1:
        return []
    return [f"entity F1 {f1:.3f} is under the {LEAST_F1} that the quickstart promises"]
