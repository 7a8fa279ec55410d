"""The quickstart corpus: its counts, its labels, its held-out names, and where it comes from."""

import importlib.util
import json
import random
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "biobert_jax" / "quickstart" / "corpus"
COUNTS = {"train": 5000, "devel": 300, "test": 400}

Sentence = list[tuple[str, str]]


def read_sentences(split: str) -> list[Sentence]:
    text = (CORPUS / f"{split}.tsv").read_text(encoding="utf-8")
    assert text.endswith("\n\n")
    return [
        [tuple(line.split("\t")) for line in block.split("\n")]
        for block in text.removesuffix("\n\n").split("\n\n")
    ]


def read_names(sentences: list[Sentence]) -> set[str]:
    """The entities of the sentences, in lower case, their tokens joined by blanks."""
    names: list[str] = []
    for sentence in sentences:
        for token, label in sentence:
            if label.startswith("B-"):
                names.append(token.lower())
            elif label.startswith("I-"):
                names[-1] += f" {token.lower()}"
    return set(names)


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Sentence]]:
    return {split: read_sentences(split) for split in COUNTS}


@pytest.fixture(scope="module")
def articles() -> list[ET.Element]:
    return ET.parse(CORPUS / "abstracts.xml").getroot().findall("PubmedArticle")


@pytest.fixture(scope="module")
def composer():
    path = ROOT / "experiments" / "quickstart" / "compose_corpus.py"
    sys.path.insert(0, str(path.parent))  # as running the script does
    spec = importlib.util.spec_from_file_location("compose_corpus", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(path.parent))
    return module


@pytest.fixture(scope="module")
def composed(composer):
    return composer.make_splits(random.Random(composer.SEED))


def test_each_split_has_its_number_of_sentences(splits):
    assert {split: len(sentences) for split, sentences in splits.items()} == COUNTS


@pytest.mark.parametrize("split", COUNTS)
def test_labels_form_valid_sequences(splits, split):
    for sentence in splits[split]:
        before = "O"
        for _, label in sentence:
            assert re.fullmatch("O|[BI]-(Disease|Drug)", label)
            assert not label.startswith("I-") or before[1:] == label[1:]
            before = label


@pytest.mark.parametrize("split", COUNTS)
def test_every_punctuation_mark_is_a_token(splits, split):
    tokens = [token for sentence in splits[split] for token, _ in sentence]
    assert all(re.fullmatch(r"\w+|[^\w\s]", token) for token in tokens)


@pytest.mark.parametrize("split", COUNTS)
def test_each_split_has_both_kinds_of_name_and_sentences_without_any(splits, split):
    labels = [{label for _, label in sentence} for sentence in splits[split]]
    assert any("B-Disease" in found and "B-Drug" in found for found in labels)
    assert 0.15 < sum(found == {"O"} for found in labels) / len(labels) < 0.35


@pytest.mark.parametrize(
    ("held_out", "other"), [("devel", "train"), ("test", "train"), ("test", "devel")]
)
def test_held_out_names_occur_nowhere_in_the_other_split(splits, held_out, other):
    sentences = [f" {' '.join(token for token, _ in s)} ".lower() for s in splits[other]]
    names = read_names(splits[held_out])
    assert names and not [name for name in names if any(f" {name} " in s for s in sentences)]


def test_no_sentence_occurs_twice(splits):
    sentences = [" ".join(t for t, _ in s).lower() for found in splits.values() for s in found]
    assert len(set(sentences)) == len(sentences)


def test_names_of_the_notes_are_held_out(composer, composed):
    stars = {
        name.removeprefix("*")
        for topic in composer.read_topics()
        for name in topic.diseases + topic.drugs
        if name.startswith("*")
    }
    trained = {n for topic in composed["train"].topics for n in topic.diseases + topic.drugs}
    text = " ".join((CORPUS / "notes.txt").read_text(encoding="utf-8").split()).lower()
    assert len(stars) >= 15 and stars.isdisjoint(trained)
    assert all(name.lower() in text for name in stars)


def test_no_name_stands_twice(composer):
    topics = composer.read_topics()
    names = [n.removeprefix("*").lower() for t in topics for n in t.diseases + t.drugs]
    assert [name for name in names if names.count(name) > 1] == []


def test_articles_have_the_expected_parts(articles, composer):
    count = composer.ABSTRACTS + 2
    pmids = [int(article.findtext(".//PMID")) for article in articles]
    assert pmids == list(range(90000001, 90000001 + count))
    abstracts = [article.findall("MedlineCitation/Article/Abstract") for article in articles]
    assert sum(len(found) == 1 for found in abstracts) == composer.ABSTRACTS
    assert sum(not found for found in abstracts) == 2
    others = [article.findall("MedlineCitation/OtherAbstract") for article in articles]
    assert sorted(o.get("Language") for found in others for o in found) == ["fre", "ger", "spa"]
    assert {article.findtext(".//Language") for article in articles} == {"eng"}


def test_many_abstracts_have_labelled_sections_and_some_have_markup(articles):
    abstracts = [a.find(".//Abstract") for a in articles if a.find(".//Abstract") is not None]
    labelled = [a for a in abstracts if a.find("AbstractText[@Label]") is not None]
    assert 0.2 < len(labelled) / len(abstracts) < 0.5
    for tag in ("i", "sub", "sup"):
        assert any(abstract.find(f"AbstractText/{tag}") is not None for abstract in abstracts)


def test_no_slot_is_left_anywhere(articles, splits):
    texts = ["".join(article.itertext()) for article in articles]
    texts += [" ".join(token for token, _ in s) for found in splits.values() for s in found]
    assert not [text for text in texts if re.search(r"[\[\]{}|\x01\x02]", text)]


def test_there_are_many_names_and_frames(composer):
    topics = composer.read_topics()
    assert len({name for topic in topics for name in topic.diseases}) >= 500
    assert len({name for topic in topics for name in topic.drugs}) >= 550
    assert sum(map(len, composer.read_frames().values())) >= 500


def test_files_are_small():
    assert max(path.stat().st_size for path in CORPUS.iterdir()) < 1_000_000


def test_notes_are_six_paragraphs_beyond_ascii():
    text = (CORPUS / "notes.txt").read_text(encoding="utf-8")
    assert len(text.strip().split("\n\n")) == 6
    assert all(character in text for character in "µé“”")
    lines = (CORPUS / "notes.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == text.strip().split("\n\n")


def test_running_the_script_gives_the_same_files(composer, tmp_path):
    composer.main(tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    names = ["abstracts.xml", "devel.tsv", "notes.jsonl", "test.tsv", "train.tsv"]
    assert sorted(written) == names
    assert written == {name: (CORPUS / name).read_bytes() for name in written}
