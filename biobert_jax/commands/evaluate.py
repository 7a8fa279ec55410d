"""Scores a tagger on a file of tagged sentences, or a file of predictions against its own gold.

    biobert evaluate --checkpoint runs/ncbi --data data/NCBI-disease/test.tsv
    biobert evaluate --predictions runs/ncbi/predictions.conll

Entities must match exactly, as the official conlleval counts them. A predictions file holds a word,
its label and the predicted label on each line.
"""

import argparse
import json

from biobert_jax.errors import UsageError, UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("--checkpoint", metavar="CHECKPOINT", help="a fine-tuned tagger")
    parser.add_argument("--data", metavar="FILE", help="tagged sentences to score it on")
    parser.add_argument("--predictions", metavar="FILE", help="word, gold and predicted label")
    parser.add_argument("--json", metavar="FILE", help="write the scores there too")
    parser.add_argument("--batch_size", type=int, default=32, help="packed rows at a time (32)")


def run(args: argparse.Namespace) -> int:
    """Prints the scores."""
    if args.batch_size < 1:
        raise UserError(f"--batch_size {args.batch_size}: give a number above 0")
    if args.predictions and (args.checkpoint or args.data):
        raise UsageError("give --predictions alone, or --checkpoint with --data")
    if not args.predictions and not (args.checkpoint and args.data):
        raise UsageError("give --checkpoint with --data, or --predictions")
    from pathlib import Path

    from biobert_jax.files import write_text_atomically
    from biobert_jax.scoring import conlleval

    if args.predictions:
        from biobert_jax.tasks.ner_files import read_predictions

        gold, predicted = read_predictions(args.predictions)
    else:
        from biobert_jax.predict.tagger import EntityTagger
        from biobert_jax.tasks.ner_files import read_sentences

        sentences = read_sentences(args.data)
        tagger = EntityTagger(args.checkpoint, batch_size=args.batch_size)
        gold = [sentence.labels for sentence in sentences]
        predicted = tagger.label_words([sentence.words for sentence in sentences])
    scores = conlleval.score(gold, predicted)
    print(conlleval.report(scores))
    if args.json:
        write_text_atomically(Path(args.json), json.dumps(scores.to_dict(), indent=2) + "\n")
    return 0
