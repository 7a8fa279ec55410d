"""Tokenization on one core: this package, Hugging Face's `tokenizers`, google's tokenization.py.

    python benchmarks/tokenization.py --vocab VOCAB --text FILE [--text FILE ...] [--check_all]

Files are .jsonl.gz with a "text", or .txt.gz with a paragraph a line. The three take turns, a
block of texts each, so that a machine that slows down slows all three; the figures are MB of UTF-8
a second. Ours begins each file with nothing remembered; google's gets a tenth of the blocks.
--check_all compares the ids of every text with google's, which takes an hour for 200 MB.
Google's code is in the package bert-tensorflow (`make test-torch` installs it).
"""

import argparse
import gzip
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tokenizers
from absl import flags
from bert import tokenization as google

from biobert_jax.corpus.text.tokenization import load_tokenizer

BLOCK_BYTES = 1_000_000


def read_texts(path: str) -> list[str]:
    """Texts with single spaces, as passages have."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        if ".jsonl" in path:
            texts = [json.loads(line)["text"] for line in lines]
        else:
            texts = list(lines)
    return [clean for text in texts if (clean := " ".join(text.split()))]


def blocks(texts: list[str]) -> list[tuple[list[str], int]]:
    """Runs of texts of about a megabyte, with their sizes."""
    result, block, size = [], [], 0
    for text in texts:
        block.append(text)
        size += len(text.encode())
        if size >= BLOCK_BYTES:
            result.append((block, size))
            block, size = [], 0
    return [*result, (block, size)] if block else result


def encoders(vocab: str):
    """By name, functions from texts to lists of ids."""
    ours = load_tokenizer(vocab)
    with tempfile.TemporaryDirectory() as folder:
        ours.save_json(Path(folder) / "tokenizer.json")
        rust = tokenizers.Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    basic = google.BasicTokenizer(do_lower_case=not ours.cased)
    table = {token: number for number, token in enumerate(ours.tokens)}
    pieces = google.WordpieceTokenizer(vocab=table)

    def encode_rust(texts):
        return [e.ids for e in rust.encode_batch_fast(texts, add_special_tokens=False)]

    def encode_google(texts):
        return [
            [table[p] for word in basic.tokenize(text) for p in pieces.tokenize(word)]
            for text in texts
        ]

    return {
        "ours": lambda texts: [ours.encode(text) for text in texts],
        "tokenizers": encode_rust,
        "google": encode_google,
    }


def main() -> None:
    """Prints MB/s and ratios a file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--text", required=True, action="append")
    parser.add_argument("--check_all", action="store_true")
    args = parser.parse_args()
    flags.FLAGS(["benchmark"])
    for path in args.text:
        rates: dict[str, list[float]] = {"ours": [], "tokenizers": [], "google": []}
        seconds = dict.fromkeys(rates, 0.0)
        compared = different = total = 0
        encode = encoders(args.vocab)
        for number, (texts, size) in enumerate(blocks(read_texts(path))):
            found = {}
            for name, function in encode.items():
                if name == "google" and number % 10 and not args.check_all:
                    continue
                began = time.process_time()
                found[name] = function(texts)
                spent = time.process_time() - began
                rates[name].append(size / 1e6 / spent)
                seconds[name] += spent
            total += size
            for theirs in ("google",) if "google" in found else ():
                for ids, expected in zip(found["ours"], found[theirs], strict=True):
                    compared += 1
                    different += ids.tolist() != expected
        whole = {name: total / 1e6 / seconds[name] for name in ("ours", "tokenizers")}
        medians = {name: statistics.median(values) for name, values in rates.items()}
        print(
            f"{os.path.basename(path)}: {total / 1e6:.1f} MB; MB/s of the whole: "
            f"ours {whole['ours']:.2f}, tokenizers {whole['tokenizers']:.2f} "
            f"(ratio {whole['ours'] / whole['tokenizers']:.2f}); by medians of blocks: "
            + ", ".join(f"{name} {median:.2f}" for name, median in medians.items())
            + f"; ours over google's {whole['ours'] / medians['google']:.1f}; "
            f"{compared:,} texts compared with google's, {different} differ",
            flush=True,
        )


if __name__ == "__main__":
    main()
