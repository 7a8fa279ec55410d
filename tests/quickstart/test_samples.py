"""The small sets for every task: written by their script, read by the readers, without leaks."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from biobert_jax.tasks.files.bioasq import read_bioasq, read_bioasq_yes_no
from biobert_jax.tasks.files.conll import read_sentences
from biobert_jax.tasks.files.jsonl import read_jsonl
from biobert_jax.tasks.files.squad import read_squad
from biobert_jax.tasks.files.tsv import read_tsv

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "biobert_jax" / "quickstart" / "samples"
COUNTS = {"train": 48, "devel": 16, "test": 24}


def read(reader, name):
    folder, suffix = name.split(".")
    return {split: reader(SAMPLES / folder / f"{split}.{suffix}") for split in COUNTS}


def test_they_are_what_the_script_writes(tmp_path):
    path = ROOT / "experiments" / "quickstart" / "compose_samples.py"
    spec = importlib.util.spec_from_file_location("compose_samples", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(tmp_path)
    written = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*.*")}
    shipped = {p.relative_to(SAMPLES): p.read_bytes() for p in SAMPLES.rglob("*.*")}
    shipped.pop(Path("README.md"))
    assert written == shipped
    assert len(shipped) == 7 * 3


@pytest.mark.parametrize(
    ("reader", "name"),
    [
        (read_sentences, "entities.tsv"),
        (read_tsv, "relations.tsv"),
        (read_jsonl, "mentions.jsonl"),
        (read_jsonl, "topics.jsonl"),
        (read_tsv, "pairs.tsv"),
        (read_squad, "questions.json"),
    ],
)
def test_counts_and_no_example_in_two_splits(reader, name):
    splits = read(reader, name)
    assert {split: len(found) for split, found in splits.items()} == COUNTS
    texts = [
        getattr(e, "words", None) or getattr(e, "context", None) or (e.text, e.pair)
        for found in splits.values()
        for e in found
    ]
    assert max(Counter(texts).values()) == (2 if name == "questions.json" else 1)


def test_every_split_has_every_label():
    for found in read(read_sentences, "entities.tsv").values():
        types = {label[2:] for s in found for label in s.labels if label.startswith("B-")}
        assert types == {"Chemical", "Disease", "Gene"}
    for name in ("relations.tsv", "mentions.jsonl"):
        for found in read(read_tsv if "tsv" in name else read_jsonl, name).values():
            assert len({e.labels for e in found}) == 2
            assert len({Counter(e.labels for e in found)[label] for label in [("0",), ("1",)]}) == 1
    for found in read(read_jsonl, "topics.jsonl").values():
        assert {len(e.labels) for e in found} == {0, 1, 2, 3}
        assert len({label for e in found for label in e.labels}) == 4
    for found in read(read_tsv, "pairs.tsv").values():
        assert {e.value for e in found} == {0.0, 2.0, 4.0}


def test_mentions_are_where_they_are_said_to_be():
    for found in read(read_jsonl, "mentions.jsonl").values():
        for example in found:
            gene, disease = example.spans
            assert (gene.type, disease.type) == ("Gene", "Disease")
            assert example.text[gene.start : gene.end].isupper()
            assert not example.text[disease.start : disease.end].isupper()


def test_questions_are_answered_in_their_contexts():
    questions = [q for found in read(read_squad, "questions.json").values() for q in found]
    for q in questions:
        assert q.context[q.starts[0] :].startswith(q.answers[0])
    assert len({q.id for q in questions}) == sum(COUNTS.values())
    bioasq = read(read_bioasq, "bioasq.json")
    yes_no = read(read_bioasq_yes_no, "bioasq.json")
    for split, count in COUNTS.items():
        assert len({q.group for q in bioasq[split]}) == count // 2
        assert {q.kind for q in bioasq[split]} == {"factoid", "list"}
        assert all(max(q.starts) >= 0 for q in bioasq[split])
        assert Counter(e.labels for e in yes_no[split] if e.id.endswith("0")) == {
            ("yes",): count // 4,
            ("no",): count // 4,
        }
    asked = [{q.question for q in found} for found in bioasq.values()]
    assert sum(map(len, asked)) == len(set.union(*asked))
