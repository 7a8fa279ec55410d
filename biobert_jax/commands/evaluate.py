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
import json
from typing import Any

from biobert_jax.commands.at_hand import CHECKPOINT, READ, WRITE
from biobert_jax.commands.output_options import check_output
from biobert_jax.commands.run_options import add_alone_argument
from biobert_jax.errors import UsageError, UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    read = dict.fromkeys(("data", "predictions", "gold", "against"), READ)
    parser.set_defaults(paths={**read, "checkpoint": CHECKPOINT, "json": WRITE, "output": WRITE})
    parser.add_argument("--checkpoint", metavar="CHECKPOINT", help="a fine-tuned one, of any task")
    parser.add_argument(
        "--data",
        metavar="FILE",
        help="what to score it on, in its form; or tfds:BUILDER/SET/SPLIT of a prepared set",
    )
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
    other = parser.add_argument_group("of --checkpoint, on another corpus than its own")
    other.add_argument("--output", metavar="DIR", help="write the predictions' files there")
    other.add_argument("--map", metavar="GOLD=TAGGER,…", help="names of entity types")
    other.add_argument(
        "--training", metavar="FILE,…", help="its training files (those of its workdir)"
    )
    other.add_argument(
        "--leave_out_shared", action="store_true", help="score only what is not in those"
    )
    parser.add_argument("--batch_size", type=int, default=32, help="packed rows at a time (32)")
    add_alone_argument(parser)


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
    from biobert_jax.files import write_text_atomically

    if args.predictions:
        scores = _own_predictions(args)
    else:
        from biobert_jax.commands import evaluate_checkpoint

        scores = evaluate_checkpoint.run(args)
    if args.json:
        write_text_atomically(args.json, json.dumps(scores, indent=2) + "\n")
    return 0


def _own_predictions(args: argparse.Namespace) -> dict[str, Any]:
    """A file that has the gold labels beside the predicted ones."""
    from biobert_jax.checkpoints.labels import types_of
    from biobert_jax.commands.evaluate_checkpoint import warn_of_types
    from biobert_jax.scoring import conlleval
    from biobert_jax.tasks.files.conll import read_predictions

    gold, predicted = read_predictions(args.predictions)
    if not args.ignore_types:
        warn_of_types(types_of(gold), types_of(predicted))
    scores = conlleval.score(gold, predicted, ignore_types=args.ignore_types)
    print(conlleval.report(scores))
    return scores.to_dict()


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
