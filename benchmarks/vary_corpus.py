"""Makes a corpus of a million documents and more by varying real ones.

    python benchmarks/vary_corpus.py --input abstracts.jsonl.gz --output FOLDER --documents 1000000

Each copy of a document has about a tenth of its words dropped and its sentences begun elsewhere, so
that no two are the same. Written as gzipped JSON lines, 15,000 documents or so a file; the content
is a function of the arguments.
"""

import argparse
import gzip
import json
import random
from pathlib import Path


def vary(text: str, rng: random.Random) -> str:
    """A variant: turned around at a random word, a tenth of the words left out."""
    words = text.split()
    start = rng.randrange(len(words)) if words else 0
    return " ".join(w for w in words[start:] + words[:start] if rng.random() > 0.1)


def main() -> None:
    """Writes the files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--documents", type=int, default=1_000_000)
    args = parser.parse_args()
    with gzip.open(args.input, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    args.output.mkdir(parents=True)
    copies = -(-args.documents // len(texts))
    for copy in range(copies):
        rng = random.Random(copy)
        path = args.output / f"copy-{copy:04d}.jsonl.gz"
        with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as out:
            for number, text in enumerate(texts):
                out.write(json.dumps({"id": f"{copy}-{number}", "text": vary(text, rng)}) + "\n")
    print(f"{args.output}: {copies * len(texts):,} documents in {copies} files")


if __name__ == "__main__":
    main()
