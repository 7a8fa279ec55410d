"""What is wrong with a task's data, by file and line, before anything is trained on them."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from biobert_jax.errors import UserError, nearest
from biobert_jax.formats.faults import Lines
from biobert_jax.tasks.files.examples import Question, Sentence, TextExample
from biobert_jax.tasks.files.registry import read_examples
from biobert_jax.tasks.files.shared import Seen, text_of
from biobert_jax.units import plural


@dataclass
class Findings:
    """What was found.

    Attributes:
      errors, warnings: lines, each with its file and, where there is one, its line.
      counts: of each split its examples and labels.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    counts: dict[str, dict[str, Any]] = field(default_factory=dict)


def validate(files: Mapping[str, Path], task: str, format: str = "") -> Findings:
    """Reads all splits and compares them.

    Args:
      files: of each split ("train", "eval", "test") its file.
      task: ner, classification or qa.
      format: of all files; "": by their names and content.
    """
    found = Findings()
    splits = {name: _read(name, path, task, format, found) for name, path in files.items()}
    for name, examples in splits.items():
        labels = Counter(label for example in examples for label in _labels(example))
        found.counts[name] = {"examples": len(examples), "labels": dict(sorted(labels.items()))}
        _duplicates(files[name], examples, found)
    train = set(found.counts.get("train", {}).get("labels", {}))
    for name, path in files.items():
        if name == "train" or not train:
            continue
        for label in sorted(set(found.counts[name]["labels"]) - train):
            near = nearest(label, sorted(train))
            hint = f" (did you mean {near!r}?)" if near else ""
            where = _first_with(splits[name], label)
            found.errors.append(f"{where or path}: label {label!r} is in no training file{hint}")
    if train and len(train - {"O"}) < (1 if task == "ner" else 2) and task != "qa":
        found.errors.append(f"{files['train']}: nothing to learn: the labels are {' '.join(train)}")
    _leaks(files, splits, found)
    return found


def _read(name: str, path: Path, task: str, format: str, found: Findings) -> list[Any]:
    """The examples that can be used; what is wrong with the others goes to `found`."""
    if not path.is_file():
        found.errors.append(f"{path}: no such file")
        return []
    if path.stat().st_size == 0:
        say = found.warnings if name == "eval" else found.errors
        say.append(f"{path}: 0 bytes")
        return []
    faults, notes = Lines(), Lines()
    try:
        examples = read_examples(path, task, format, fault=faults.of(path), note=notes.of(path))
    except UserError as error:
        found.errors.append(str(error))
        examples = []
    found.errors += faults.shown()
    found.warnings += notes.shown()
    unlabelled = [e for e in examples if _labels(e) is None or not _is_labelled(e)]
    if unlabelled and len(unlabelled) < len(examples):
        where = getattr(unlabelled[0], "where", "") or path
        found.errors.append(f"{where}: no label ({len(unlabelled)} of {len(examples):,} have none)")
    elif unlabelled and name == "train":
        found.errors.append(f"{unlabelled[0].where or path}: no labels")
    elif unlabelled:
        found.warnings.append(f"{path}: no labels: can be predicted, not scored")
    lost = [q for q in examples if isinstance(q, Question) and q.answers and max(q.starts) < 0]
    if lost:
        found.warnings.append(
            f"{lost[0].where or path}: the answer is not in its context "
            f"({len(lost)} of {plural(len(examples), 'question')})"
        )
    return examples


def _duplicates(path: Path, examples: Sequence[Any], found: Findings) -> None:
    texts: dict[Any, Any] = {}
    again = []
    for example in examples:
        if text_of(example) in texts:
            again.append(example)
        texts.setdefault(text_of(example), example)
    if again:
        differ = sum(_labels(e) != _labels(texts[text_of(e)]) for e in again)
        more = f", {differ} of them with other labels" if differ else ""
        where = getattr(again[0], "where", "") or path
        found.warnings.append(f"{where}: stood before ({len(again)} such in {path.name}{more})")


def _leaks(files: Mapping[str, Path], splits: Mapping[str, Sequence], found: Findings) -> None:
    for one, other in itertools.combinations(splits, 2):
        seen, name = Seen(splits[one]), files[other].name
        if shared := [example for example in splits[other] if seen.has_text(example)]:
            found.warnings.append(
                f"{shared[0].where or files[other]}: is in {files[one].name} too ({len(shared)} "
                f"such in {name})"
            )
        if shared := [example for example in splits[other] if seen.has_document(example)]:
            documents = plural(len(seen.documents(shared)), "document")
            found.warnings.append(
                f"{shared[0].where or files[other]}: document {shared[0].document} is in "
                f"{files[one].name} too ({documents} and {len(shared)} examples such in {name})"
            )


def _first_with(examples: Sequence[Any], label: str) -> str:
    return next((e.where for e in examples if label in _labels(e) and e.where), "")


def _labels(example: Any) -> tuple[str, ...]:
    if isinstance(example, Sentence | TextExample):
        return example.labels or ()
    return ()


def _is_labelled(example: Any) -> bool:
    if isinstance(example, Sentence):
        return bool(example.labels)
    if isinstance(example, TextExample):
        return example.labels is not None or example.value is not None
    return bool(example.answers) or example.is_impossible is True
