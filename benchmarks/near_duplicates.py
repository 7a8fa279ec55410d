"""Near-duplicates: how many of altered abstracts are found, by how much of them was altered.

    python benchmarks/near_duplicates.py --input abstracts.jsonl.gz

A thousand abstracts, words replaced at random by other abstracts' words, or the last tenth cut
off; for each threshold the share whose bands meet those of the original, beside the mean Jaccard
similarity of their word 5-grams. Then the pairs that meet among all abstracts as they are.
"""

import argparse
import gzip
import json
import random
import re

import numpy as np

from biobert_jax.corpus.text.fingerprints import near_duplicate_bands

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


def shingles(text: str) -> set[tuple[str, ...]]:
    """The runs of five words."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def similarity(a: str, b: str) -> float:
    """Jaccard similarity of two texts' shingles."""
    left, right = shingles(a), shingles(b)
    return len(left & right) / len(left | right)


def main() -> None:
    """Prints the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--input", required=True)
    args = parser.parse_args()
    with gzip.open(args.input, "rt", encoding="utf-8") as lines:
        everything = [json.loads(line)["text"] for line in lines]
    texts = list(dict.fromkeys(text for text in everything if len(text.split()) >= 50))
    rng = random.Random(0)
    rng.shuffle(texts)
    originals = texts[:1000]
    words = [word for text in texts[1000:3000] for word in text.split()]

    def replaced(text: str, share: float) -> str:
        return " ".join(rng.choice(words) if rng.random() < share else w for w in text.split())

    changed = {
        f"{share:.0%} replaced": [replaced(text, share) for text in originals]
        for share in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
    }
    changed["last tenth cut off"] = [
        " ".join(text.split()[: int(len(text.split()) * 0.9)]) for text in originals
    ]
    print("| changed | mean Jaccard |" + "".join(f" {t} |" for t in THRESHOLDS))
    for name, variants in changed.items():
        pairs = list(zip(originals, variants, strict=True))
        cells = [f"{np.mean([similarity(a, b) for a, b in pairs]):.2f}"]
        for threshold in THRESHOLDS:
            bands = [[near_duplicate_bands([t], threshold) for t in pair] for pair in pairs]
            cells.append(f"{np.mean([(a == b).any() for a, b in bands]):.1%}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)

    print(f"pairs that meet among {len(texts):,} distinct abstracts as they are:")
    for threshold in THRESHOLDS:
        keys = np.stack([near_duplicate_bands([text], threshold) for text in texts])
        found = set()
        for band in keys.T:
            order = np.argsort(band, kind="stable")
            for i in np.flatnonzero(band[order][1:] == band[order][:-1]).tolist():
                found.add(tuple(sorted((int(order[i]), int(order[i + 1])))))
        similar = [similarity(texts[a], texts[b]) for a, b in found]
        near = sum(s >= threshold for s in similar)
        lowest = f", least similar {min(similar):.2f}" if similar else ""
        print(f"  at {threshold}: {len(found)}, of which {near} at or above it{lowest}")


if __name__ == "__main__":
    main()
