"""`biobert evaluate --checkpoint --data`: a checkpoint of any task on a file of its form."""

import argparse
import dataclasses
import functools
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from biobert_jax.checkpoints.labels import UNTYPED, renamed, types_of, with_type
from biobert_jax.commands.parser import did_you_mean
from biobert_jax.commands.progress import StageProgress, working
from biobert_jax.commands.run_options import check_alone
from biobert_jax.errors import UserError
from biobert_jax.formats.faults import Lines
from biobert_jax.json_fields import read_optional_object
from biobert_jax.scoring import conlleval
from biobert_jax.tasks.files.prepared import is_prepared, is_there
from biobert_jax.tasks.files.shared import Seen


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Predicts, prints the scores, and returns them; {} without labels."""
    data = Path(args.data)
    if not is_prepared(data) and not data.is_file():
        raise UserError(f"--data {data}: no such file")
    check_alone(args)
    from biobert_jax.tasks.fitted import FittedModel

    with working(f"load {args.checkpoint}"):
        model = FittedModel(args.checkpoint, batch_size=args.batch_size)
    notes = Lines()
    # Types that another corpus names otherwise are the user's to choose.
    options = {**model.setting.options, **({"types": []} if args.map else {})}
    examples = model.task.read(data, options, notes.of(data))
    for line in notes.shown():
        _say(line)
    if not examples:
        raise UserError(f"--data {data}: no {model.task.unit} in it")
    shared = {}
    if seen := _training(args, model):
        count, words = seen.count(examples, model.task.unit)
        shared = {"num_shared": count}
        if any(example.document for example in examples):
            shared["num_shared_documents"] = len(seen.documents(examples))
        _say(f"{words}{': left out' if args.leave_out_shared else ''}")
        if args.leave_out_shared:
            examples = [example for example in examples if not seen.has(example)]
        if not examples:
            raise UserError(f"--data {data}: nothing is left")
    with StageProgress(brief=True) as progress:
        predictions, encoded = model.predict(examples, functools.partial(progress, "tag"))
    for note in encoded.notes:
        _say(f"{data}: {note}")
    if args.output:
        folder = Path(args.output)
        folder.mkdir(parents=True, exist_ok=True)
        model.task.write(folder, examples, predictions, model.setting)
        _say(f"{folder}: {', '.join(n for n in model.task.files if (folder / n).exists())}")
    if not all(map(model.task.has_labels, examples)):
        _say(f"{data}: no labels: predicted, not scored")
        return {}
    if model.task.name == "ner":
        scores = _entity_scores(args, examples, predictions, model)
    else:
        for line in model.task.check({str(data): examples}, model.setting.labels):
            _say(line)
        scores = model.task.score(examples, predictions, model.setting)
    print(model.task.report(scores))
    return scores | shared


def _entity_scores(
    args: argparse.Namespace, examples: Sequence[Any], predictions: Sequence[Any], model: Any
) -> dict[str, Any]:
    """Entities, whose types another corpus may call otherwise."""
    types = types_of([model.setting.labels])
    gold = [sentence.labels for sentence in examples]
    if args.map:
        gold = mapped(gold, args.map, types)
    if not args.ignore_types:
        gold = named_types(gold, types)
        warn_of_types(types_of(gold), types)
        unknown = types_of(gold) - types
        if unknown and types_of(gold) & types:
            _say(
                f"warning: the tagger does not know {_names(unknown)}: what is of these can only "
                "be missed; --map TYPE= leaves one out"
            )
    if args.ignore_types:
        labels = [tagged.labels for tagged in predictions]
        return conlleval.score(gold, labels, ignore_types=True).to_dict()
    pairs = zip(examples, gold, strict=True)
    examples = [dataclasses.replace(sentence, labels=tuple(labels)) for sentence, labels in pairs]
    return model.task.score(examples, predictions, model.setting)


def mapped(gold: Sequence[Sequence[str]], pairs: str, types: set[str]) -> list[tuple[str, ...]]:
    """Gold labels with their types renamed, `A=B,C=D`; `A=` leaves a type out.

    Raises:
      UserError: a pair without `=`, of a type that no label has, or to one that is none of `types`.
    """
    names = {}
    known = types_of(gold)
    for pair in pairs.split(","):
        old, equals, new = pair.partition("=")
        if not equals:
            raise UserError(f"--map {pair}: give pairs of types, GOLD=TAGGER")
        if old not in known:
            hint = did_you_mean(old, sorted(known))
            raise UserError(
                f"--map {old}: no gold label has that type: {hint}known: {', '.join(sorted(known))}"
            )
        if new and new not in types:
            hint = did_you_mean(new, sorted(types))
            raise UserError(
                f"--map {pair}: the tagger has no type {new}: {hint}known: {_names(types)}"
            )
        names[old] = new

    return [renamed(labels, names) for labels in gold]


def named_types(gold: Sequence[Sequence[str]], types: set[str]) -> list[tuple[str, ...]]:
    """Gold labels with the one type of a tagger's where none of them has any."""
    if not types_of(gold) <= {"", UNTYPED} or len(types) != 1 or types <= {"", UNTYPED}:
        return [tuple(labels) for labels in gold]
    (name,) = types
    _say(f"the gold labels have no type and are taken for {name}")
    bare = [[label.partition("-")[0] for label in labels] for labels in gold]
    return [tuple(with_type(label, name) for label in labels) for labels in bare]


def warn_of_types(gold: set[str], predicted: set[str]) -> None:
    """Says where no entity can match."""
    if gold and predicted and not gold & predicted:
        _say(
            f"warning: no entity can match: gold has the types {_names(gold)}, predictions have "
            f"{_names(predicted)}: --ignore_types compares words alone, --map renames"
        )


def _training(args: argparse.Namespace, model: Any) -> Seen:
    """What the checkpoint was trained on, where its files are still there, or are given."""
    files = [Path(name) for name in args.training.split(",")] if args.training else []
    if not files:
        # Of a workdir, or of one of its checkpoints.
        given = Path(args.checkpoint)
        homes = [given, *given.absolute().parents[1:2]]
        found = (read_optional_object(home / "config.json") for home in homes)
        config = next((values for values in found if values), {})
        data = config.get("data")
        if isinstance(data, dict) and isinstance(data.get("train"), list):
            files = [Path(str(data.get("dir", ""))) / str(name) for name in data["train"]]
            files = files if all(map(is_there, files)) else []
    if not files and not args.leave_out_shared:
        _say("what test and training share is not counted: give the training files by --training")
    if not files and args.leave_out_shared:
        raise UserError("--leave_out_shared needs the training files: give them by --training")
    for path in files:
        if not is_prepared(path) and not path.is_file():
            raise UserError(f"--training {path}: no such file")
    return Seen(example for path in files for example in model.read(path))


def _names(types: Iterable[str]) -> str:
    return ", ".join("(none)" if name in ("", UNTYPED) else name for name in sorted(types))


def _say(line: str) -> None:
    print(line, file=sys.stderr)
