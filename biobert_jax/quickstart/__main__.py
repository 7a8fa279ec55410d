"""Runs the whole job on the embedded corpus by the commands a user types, and sums it up.

    python -m biobert_jax.quickstart --output quickstart_out

Vocabulary, prepare, verify, pretrain, finetune, predict: each command is printed before it runs.
Run again, it skips what is finished.
"""

import argparse
import json
import os
import shlex
import sys
import time
from pathlib import Path

from biobert_jax import cli

CORPUS = Path(__file__).parent / "corpus"


def main(argv: list[str] | None = None) -> int:
    """Runs the commands; returns the exit code of the first that fails, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", default="quickstart_out", metavar="DIR")
    args = parser.parse_args(argv)
    out = Path(args.output)
    started = time.monotonic()
    for command in commands(out):
        words = [os.path.relpath(w) if os.path.isabs(w) else w for w in command]
        print(f"\n$ biobert {shlex.join(words)}", flush=True)
        if command[0] == "vocab" and (out / "vocab.txt").exists():
            print(f"{out / 'vocab.txt'} is there already")
            continue
        code = cli.main(command)
        if code:
            return code
    print(summary(out, time.monotonic() - started))
    return 0


def commands(out: Path) -> list[list[str]]:
    """The verbs and their arguments, in order."""
    corpus = ["--input", str(CORPUS / "abstracts.xml"), "--format", "pubmed"]
    vocab = str(out / "vocab.txt")
    return [
        ["vocab", *corpus, "--size", "4000", "--output", vocab],
        ["prepare", *corpus, "--vocab", vocab, "--max_seq_length", "128", "--held_out", "0.05"]
        + ["--output", str(out / "data")],
        ["verify", str(out / "data")],
        ["pretrain", "--config", "pretrain_quickstart", "--workdir", str(out / "pretrain")]
        + [f"--config.data.dir={out / 'data'}"],
        ["finetune", "--config", "ner:quickstart", "--workdir", str(out / "ner")]
        + [f"--config.data.dir={CORPUS}", f"--config.init={out / 'pretrain'}"],
        ["predict", "--checkpoint", str(out / "ner"), "--input", str(CORPUS / "notes.txt")]
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
    scores = json.loads((out / "ner" / "scores.json").read_text(encoding="utf-8"))["test"]
    tagged = (out / "tagged.jsonl").read_text(encoding="utf-8").splitlines()
    entities = sum(len(json.loads(line)["entities"]) for line in tagged)
    (first, before), (last, after) = losses[0], losses[-1]
    return f"""
quickstart: done in {seconds / 60:.1f} minutes
  corpus       {manifest["num_documents"]} abstracts, {manifest["num_tokens"]:,} tokens, \
rows {manifest["fill"]:.1%} full
  pre-training held-out MLM loss {before:.2f} at step {first}, {after:.2f} at step {last}
  fine-tuning  entity F1 {scores["f1"]:.3f} on held-out sentences with names never tagged in \
training
  prediction   {entities} entities in raw notes
Look at {out / "tagged.html"} in a browser."""


if __name__ == "__main__":
    sys.exit(main())
