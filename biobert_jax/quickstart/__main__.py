"""Runs the whole job on the embedded corpus by the commands a user types, and sums it up.

    python -m biobert_jax.quickstart --output quickstart_out [--seed 1]

Vocabulary, prepare, verify, pretrain, finetune, predict: each command is printed before it runs.
Run again, it skips what is finished. It fails, too, when the tagger that comes of it is not as good
as promised: `checks.py` has the score and the phrases of the notes.
"""

import argparse
import json
import os
import shlex
import sys
import time
from pathlib import Path

from biobert_jax import cli
from biobert_jax.quickstart.checks import score_faults, tagging_faults

CORPUS = Path(__file__).parent / "corpus"


def main(argv: list[str] | None = None) -> int:
    """Runs the commands; returns the exit code of the first that fails, 1 for a poor result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", default="quickstart_out", metavar="DIR")
    parser.add_argument("--seed", type=int, default=0, help="of pre-training and fine-tuning (0)")
    args = parser.parse_args(argv)
    out = Path(args.output)
    started = time.monotonic()
    for command in commands(out, args.seed):
        words = [os.path.relpath(w) if os.path.isabs(w) else w for w in command]
        print(f"\n$ biobert {shlex.join(words)}", flush=True)
        if command[0] == "vocab" and (out / "vocab.txt").exists():
            print(f"{out / 'vocab.txt'} is there already")
            continue
        code = cli.main(command)
        if code:
            return code
    print(summary(out, time.monotonic() - started))
    faults = score_faults(test_scores(out)["f1"]) + tagging_faults(tagged_documents(out))
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


def commands(out: Path, seed: int = 0) -> list[list[str]]:
    """The verbs and their arguments, in order."""
    corpus = ["--input", str(CORPUS / "abstracts.xml"), "--format", "pubmed"]
    vocab = str(out / "vocab.txt")
    return [
        ["vocab", *corpus, "--size", "6000", "--lowercase", "--output", vocab],
        ["prepare", *corpus, "--vocab", vocab, "--max_seq_length", "32", "--held_out", "0.05"]
        + ["--workers", "1", "--output", str(out / "data")],
        ["verify", str(out / "data")],
        ["pretrain", "--config", "pretrain_quickstart", "--workdir", str(out / "pretrain")]
        + [f"--config.data.dir={out / 'data'}", f"--config.seed={seed}"],
        ["finetune", "--config", "ner:quickstart", "--workdir", str(out / "ner")]
        + [f"--config.data.dir={CORPUS}", f"--config.init={out / 'pretrain'}"]
        + [f"--config.seed={seed}"],
        ["predict", "--checkpoint", str(out / "ner"), "--input", str(CORPUS / "notes.jsonl")]
        + ["--output", str(out / "tagged.jsonl"), "--output", str(out / "tagged.html")],
    ]


def summary(out: Path, seconds: float) -> str:
    """What came of it, from the files that the commands wrote."""
    manifest = json.loads((out / "data" / "manifest.json").read_text(encoding="utf-8"))
    lines = (out / "pretrain" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [
        (values["step"], values["heldout_mlm_loss"])
        for values in map(json.loads, lines)
        if "heldout_mlm_loss" in values
    ]
    documents = tagged_documents(out)
    entities = sum(len(document["entities"]) for document in documents)
    (first, before), (last, after) = losses[0], losses[-1]
    return f"""
quickstart: done in {seconds / 60:.1f} minutes
  corpus       {manifest["num_documents"]} abstracts, {manifest["num_tokens"]:,} tokens, \
rows {manifest["fill"]:.1%} full
  pre-training held-out MLM loss {before:.2f} at step {first}, {after:.2f} at step {last}
  fine-tuning  entity F1 {test_scores(out)["f1"]:.3f} on held-out sentences with names never \
tagged in training
  prediction   {entities} entities in {len(documents)} raw notes
Look at {out / "tagged.html"} in a browser."""


def test_scores(out: Path) -> dict[str, float]:
    """The scores of fine-tuning on the test sentences."""
    return json.loads((out / "ner" / "scores.json").read_text(encoding="utf-8"))["test"]


def tagged_documents(out: Path) -> list[dict]:
    """The notes with their entities."""
    lines = (out / "tagged.jsonl").read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


if __name__ == "__main__":
    sys.exit(main())
