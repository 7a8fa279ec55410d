"""Scores a checkpoint on a file, or a file of predictions, whoever made it, against the gold one.

    biobert evaluate --checkpoint runs/ncbi --data data/NCBI-disease/test.tsv
    biobert evaluate --predictions runs/ncbi/predictions.conll
    biobert evaluate --task ner --gold test.tsv --predictions NER_result_conll.txt
    biobert evaluate --task classification --gold test.tsv --predictions test_results.tsv
    biobert evaluate --task squad --gold dev-v1.1.json --predictions predictions.json
    biobert evaluate --task bioasq --gold 6B1_golden.json --predictions BioASQform.json
    biobert evaluate --task similarity --gold biosses.tsv --predictions predictions.jsonl

With --task, predictions are those of any program, in the forms that the field's programs write;
sentences of tagged files are found by their words, whatever their order. Scores come with bootstrap
intervals, and --against FILE tests the difference to another program's predictions.

Entities must match exactly, as the official conlleval counts them: the same words, and the same
type, unless --ignore_types is given. Gold labels without a type are taken for the tagger's where
it knows one only. A predictions file holds a word, its label and the predicted label on each line.
"""

import argparse
import functools
import json
import sys
from collections.abc import Iterable, Sequence

from biobert_jax.commands.output_options import check_output
from biobert_jax.commands.progress import StageProgress, working
from biobert_jax.errors import UsageError, UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("--checkpoint", metavar="CHECKPOINT", help="a fine-tuned tagger")
    parser.add_argument("--data", metavar="FILE", help="tagged sentences to score it on")
    parser.add_argument(
        "--predictions", metavar="FILE", help="with --task; or alone: word, gold, predicted label"
    )
    parser.add_argument(
        "--task",
        choices=("ner", "classification", "squad", "bioasq", "similarity"),
        help="of --gold and --predictions",
    )
    parser.add_argument("--gold", metavar="FILE", help="what is right")
    parser.add_argument("--against", metavar="FILE", help="other predictions, to be compared with")
    parser.add_argument(
        "--bootstrap", type=int, default=1000, metavar="N", help="samples; 0: no intervals (1000)"
    )
    several = parser.add_argument_group("of --task classification and bioasq")
    several.add_argument(
        "--average", choices=("micro", "macro", "binary"), default="micro", help="(micro)"
    )
    several.add_argument("--labels", default="", metavar="A,B", help="columns of probabilities")
    several.add_argument("--excluded_labels", default="", metavar="A,B", help="of no average")
    several.add_argument("--positive", default="", metavar="LABEL", help="of a binary average")
    several.add_argument(
        "--unanswered",
        choices=("leave_out", "wrong"),
        default="leave_out",
        help="BioASQ questions without an answer (leave_out)",
    )
    parser.add_argument(
        "--ignore_types", action="store_true", help="an entity of the right words is correct"
    )
    parser.add_argument("--json", metavar="FILE", help="write the scores there too")
    parser.add_argument("--batch_size", type=int, default=32, help="packed rows at a time (32)")


def run(args: argparse.Namespace) -> int:
    """Prints the scores."""
    if args.batch_size < 1:
        raise UserError(f"--batch_size {args.batch_size}: give a number above 0")
    if args.task:
        return _evaluate_files(args)
    if args.gold or args.against:
        raise UsageError("--gold and --against are for --task")
    if args.predictions and (args.checkpoint or args.data):
        raise UsageError("give --predictions alone, or --checkpoint with --data")
    if not args.predictions and not (args.checkpoint and args.data):
        raise UsageError("give --checkpoint with --data, or --predictions")
    if args.json:
        check_output("--json", args.json, [args.predictions or args.data])
    from biobert_jax.checkpoints.labels import types_of
    from biobert_jax.files import write_text_atomically
    from biobert_jax.scoring import conlleval

    if args.predictions:
        from biobert_jax.tasks.files.conll import read_predictions

        gold, predicted = read_predictions(args.predictions)
        types = types_of(predicted)
    else:
        from biobert_jax.tasks.files.conll import read_sentences

        sentences = read_sentences(args.data)
        # After the reading, since it imports JAX.
        from biobert_jax.predict.tagger import EntityTagger

        with working(f"load {args.checkpoint}"):
            tagger = EntityTagger(args.checkpoint, batch_size=args.batch_size)
        types = types_of([tagger.labels])
        gold = [sentence.labels for sentence in sentences]
        if not args.ignore_types:
            gold = named_types(gold, types)
        words = [sentence.words for sentence in sentences]
        with StageProgress(brief=True) as progress:
            predicted = tagger.label_words(words, functools.partial(progress, "tag"))
    if not args.ignore_types:
        _warn_of_types(types_of(gold), types)
    scores = conlleval.score(gold, predicted, ignore_types=args.ignore_types)
    print(conlleval.report(scores))
    if args.json:
        write_text_atomically(args.json, json.dumps(scores.to_dict(), indent=2) + "\n")
    return 0


def _evaluate_files(args: argparse.Namespace) -> int:
    """Predictions of any program against gold."""
    if args.checkpoint or args.data or not (args.gold and args.predictions):
        raise UsageError("with --task give --gold and --predictions")
    if args.bootstrap < 0:
        raise UserError(f"--bootstrap {args.bootstrap}: give 0 or a number of samples")
    if args.json:
        inputs = filter(None, (args.gold, args.predictions, args.against))
        check_output("--json", args.json, inputs)
    from biobert_jax.commands import evaluate_files
    from biobert_jax.files import write_text_atomically

    content = evaluate_files.run(args)
    if args.json:
        write_text_atomically(args.json, json.dumps(content, indent=2) + "\n")
    return 0


def named_types(gold: Sequence[Sequence[str]], types: set[str]) -> list[tuple[str, ...]]:
    """Gold labels with the one type of a tagger's where none of them has any."""
    from biobert_jax.checkpoints.labels import types_of, with_type

    if types_of(gold) != {""} or len(types) != 1 or types == {""}:
        return [tuple(labels) for labels in gold]
    (name,) = types
    print(f"the gold labels have no type and are taken for {name}", file=sys.stderr)
    return [tuple(with_type(label, name) for label in labels) for labels in gold]


def _warn_of_types(gold: set[str], predicted: set[str]) -> None:
    if gold and predicted and not gold & predicted:
        print(
            f"warning: no entity can match: gold has the types {_names(gold)}, predictions have "
            f"{_names(predicted)}: --ignore_types compares words alone",
            file=sys.stderr,
        )


def _names(types: Iterable[str]) -> str:
    return ", ".join(name or "(none)" for name in sorted(types))
