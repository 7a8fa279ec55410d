"""Splits of question files that have none of their own, the same on every machine.

    python benchmarks/split_questions.py squad dev-v1.1.json FOLDER [--test 8]
    python benchmarks/split_questions.py pubmedqa ori_pqal.json FOLDER --ids test_ground_truth.json

SQuAD's dev file (its training file is large) is split by article: the articles whose titles have
the lowest SHA-256 are `test.json`, all others `train.json`. PubMedQA's labelled questions: those
of its official test ids are `test.json`; of the others, the 50 whose ids have the lowest SHA-256
are `devel.json`, as many as its authors' folds have, and 450 `train.json`.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path


def main() -> None:
    """Writes the files of a split, and prints how many questions each has."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kind", choices=("squad", "pubmedqa"))
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--test", type=int, default=8, help="SQuAD: articles of test.json")
    parser.add_argument("--devel", type=int, default=50, help="PubMedQA: questions of devel.json")
    parser.add_argument("--ids", type=Path, help="PubMedQA: the official test_ground_truth.json")
    args = parser.parse_args()
    content = json.loads(args.file.read_text(encoding="utf-8"))
    if args.kind == "pubmedqa" and args.ids is None:
        parser.error("pubmedqa needs --ids, its official test_ground_truth.json")
    if args.kind == "squad":
        splits, count = squad_splits(content, args.test), count_squad
    else:
        ids = json.loads(args.ids.read_text(encoding="utf-8"))
        splits, count = pubmedqa_splits(content, ids, args.devel), len
    args.folder.mkdir(parents=True, exist_ok=True)
    for name, split in splits.items():
        text = json.dumps(split, ensure_ascii=False)
        (args.folder / f"{name}.json").write_text(text, encoding="utf-8")
        print(f"{args.folder / name}.json: {count(split):,} questions", file=sys.stderr)


def squad_splits(content: dict, num_test: int) -> dict[str, dict]:
    """Articles of SQuAD's JSON: `num_test` for the test, the others to train on."""
    chosen = set(by_hash(article["title"] for article in content["data"])[:num_test])
    return {
        name: {
            **content,
            "data": [a for a in content["data"] if (a["title"] in chosen) == (name == "test")],
        }
        for name in ("train", "test")
    }


def pubmedqa_splits(content: dict, test_ids: Iterable[str], num_devel: int) -> dict[str, dict]:
    """PubMedQA's questions by id."""
    test = set(test_ids)
    devel = set(by_hash(id_ for id_ in content if id_ not in test)[:num_devel])
    splits: dict[str, dict] = {"train": {}, "devel": {}, "test": {}}
    for id_, question in content.items():
        name = "test" if id_ in test else "devel" if id_ in devel else "train"
        splits[name][id_] = question
    return splits


def by_hash(names: Iterable[str]) -> list[str]:
    """Names in the order of their SHA-256."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode("utf-8")).hexdigest())


def count_squad(content: dict) -> int:
    """Questions of SQuAD's JSON."""
    return sum(len(p["qas"]) for article in content["data"] for p in article["paragraphs"])


if __name__ == "__main__":
    main()
