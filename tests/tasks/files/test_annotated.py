"""Annotated documents as tagged sentences: words, labels, what is counted, chosen types."""

import gzip
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.corpus.text.wordpiece import WordPiece, basic_words
from biobert_jax.formats.documents import Annotation, Document, Passage
from biobert_jax.formats.faults import Lines
from biobert_jax.scoring.conlleval import chunks
from biobert_jax.tasks.files.annotated import chosen_types, sentences_of
from biobert_jax.tasks.files.examples import Sentence
from biobert_jax.tasks.files.registry import read_examples
from biobert_jax.tasks.files.shared import Seen

TITLE = "Anti-TNF-alpha eases Crohn's disease."


def mention(text, type_, *pieces):
    spans = [re.search(re.escape(piece), text).span() for piece in pieces]
    return Annotation(type_, tuple(spans), " ".join(pieces))


def document(text, *annotations, id="7", offset=0):
    return Document(id, (Passage("title", offset, text, annotations),), where=f"x:{id}")


def tagged(*documents, types=None):
    """Labels by word of each sentence, and the notes."""
    notes = Lines()
    found = sentences_of(documents, "x", types, notes.of("x"))
    pairs = [list(zip(s.words, s.labels, strict=True)) for s in found]
    return pairs, [note.removeprefix("x: ") for note in notes.shown()]


def labels(*documents, **options):
    pairs, notes = tagged(*documents, **options)
    return [(word, label) for own in pairs for word, label in own if label != "O"], notes


def test_passages_become_sentences_of_words_with_labels():
    title = Passage("title", 0, TITLE, (mention(TITLE, "Disease", "Crohn's disease"),))
    text = "It helps in Crohn's. Aspirin does not."
    [(start, end)] = mention(text, "", "Crohn's").spans
    own = Annotation("Disease", ((38 + start, 38 + end),), "Crohn's")
    notes = Lines()
    found = sentences_of(
        [Document("7", (title, Passage("abstract", 38, text, (own,))), where="x:1")],
        "x",
        note=notes.of("x"),
    )
    assert found == [
        Sentence(
            ("Anti", "-", "TNF", "-", "alpha", "eases", "Crohn", "'", "s", "disease", "."),
            (*["O"] * 6, "B-Disease", *["I-Disease"] * 3, "O"),
            "7",
        ),
        Sentence(
            ("It", "helps", "in", "Crohn", "'", "s", "."),
            ("O", "O", "O", "B-Disease", "I-Disease", "I-Disease", "O"),
            "7",
        ),
        Sentence(("Aspirin", "does", "not", "."), ("O",) * 4, "7"),
    ]
    assert {sentence.where for sentence in found} == {"x:1"} and notes.shown() == []


def test_of_mentions_that_share_words_the_longest_is_taken():
    text = "huntingtin gene family"
    own = [mention(text, "Gene", "huntingtin"), mention(text, "Family", "huntingtin gene family")]
    found, notes = labels(document(text, *own, own[1]))
    assert found == [("huntingtin", "B-Family"), ("gene", "I-Family"), ("family", "I-Family")]
    assert notes == ["mentions that share words with a longer one: left out (2 of 3)"]


def test_mentions_inside_of_a_word_are_taken_with_all_of_it():
    text = "NFkappaB and preTNF"
    own = [mention(text, "Gene", "NF"), mention(text, "Gene", "kappa"), mention(text, "X", "TNF")]
    found, notes = labels(document(text, *own))
    assert found == [("NFkappaB", "B-Gene"), ("preTNF", "B-X")]
    assert notes == [
        "mentions that share words with a longer one: left out (1 of 3)",
        "mentions that begin or end inside of a word: taken with all of it (2 of 3)",
    ]


def test_mentions_in_pieces_and_without_words_are_left_out():
    text = "colon and lung cancer \u00ad now"
    own = [mention(text, "X", "colon", "cancer"), mention(text, "X", "\u00ad")]
    found, notes = labels(document(text, *own, mention(text, "X", "lung cancer")))
    assert found == [("lung", "B-X"), ("cancer", "I-X")]
    assert notes == [
        "mentions that are in several pieces: left out (1 of 3)",
        "mentions that hold no word: left out (1 of 3)",
    ]


def test_a_sentence_does_not_end_inside_of_a_mention():
    text = "The group had a dose of 20. We saw none. It was rare."
    assert [s.words[0] for s in sentences_of([document(text)], "x")] == ["The", "We", "It"]
    pairs, notes = tagged(document(text, mention(text, "Dose", "20. We")))
    assert [len(own) for own in pairs] == [12, 4]
    assert pairs[0][6:9] == [("20", "B-Dose"), (".", "I-Dose"), ("We", "I-Dose")]
    assert notes == [
        "mentions that go on where a sentence seems to end: it is not split there (1 of 1)"
    ]


def test_types_are_chosen_and_renamed():
    text = "TNF family, aspirin, ulcers"
    own = [mention(text, "Family", "TNF family"), mention(text, "Gene", "TNF")]
    own += [mention(text, "Drug", "aspirin"), mention(text, "Disease", "ulcers")]
    found, notes = labels(document(text, *own), types=chosen_types(["Gene", "Drug=Chemical"]))
    assert found == [("TNF", "B-Gene"), ("aspirin", "B-Chemical")]
    assert notes == ["1 Disease, 1 Family mentions: left out by data.types"]
    assert chosen_types([]) is None
    # What is called so already is taken, too: a tagger's own types in another corpus.
    assert chosen_types(["A=B"]) == {"A": "B", "B": "B"}
    assert chosen_types(["A=B", "B=C"]) == {"A": "B", "B": "C", "C": "C"}


def test_tagged_files_have_their_types_chosen_too(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("TNF\tB-Gene\nin\tO\nman\tB-Species\nis\tI\n")
    notes = Lines()
    types = chosen_types(["Gene=Protein"])
    [found] = read_examples(path, "ner", note=notes.of(path), types=types)
    assert found.labels == ("B-Protein", "O", "O", "I")
    assert notes.shown() == [f"{path}: 1 Species mention: left out by data.types"]


def test_a_file_without_a_mention_has_no_labels():
    found = sentences_of([document("No aspirin. None.")], "x")
    assert [sentence.labels for sentence in found] == [(), ()]
    # One of them makes the others known to have none.
    found = sentences_of(
        [document("No."), document("colitis", mention("colitis", "X", "colitis"))], "x"
    )
    assert [sentence.labels for sentence in found] == [("O", "O"), ("B-X",)]


PUBTATOR = "7|t|Aspirin helps.\n7|a|It does.\n7\t0\t7\tAspirin\tDrug\n"


@pytest.mark.parametrize("name", ["x.PubTator", "x.pubtator.gz", "x.txt", "x.tsv", "x", "x.gz"])
def test_the_format_is_told_by_name_or_content(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(PUBTATOR.encode()) if name.endswith("gz") else PUBTATOR.encode())
    found = read_examples(path, "ner")
    assert [sentence.words for sentence in found] == [
        ("Aspirin", "helps", "."),
        ("It", "does", "."),
    ]
    path.write_text("Aspirin\tB-Drug\n")
    if "ubtator" not in name.lower():
        assert read_examples(path, "ner")[0].labels == ("B-Drug",)


def test_titles_alone_are_read_by_the_suffix(tmp_path):
    path = tmp_path / "x.PubTator"
    path.write_text("7|t|Aspirin helps.\n7\t0\t7\tAspirin\tDrug\n")
    assert read_examples(path, "ner")[0].labels == ("B-Drug", "O", "O")
    assert read_examples(path.rename(tmp_path / "x"), "ner", "pubtator")[0].document == "7"


@given(st.text(max_size=60))
def test_words_are_those_of_a_cased_vocabulary(text):
    wordpiece = WordPiece({"[UNK]": 0, "a": 1}, 0, lowercase=False)
    assert basic_words(text) == [(piece.start, piece.end) for piece in wordpiece.pieces(text)]


@pytest.mark.parametrize(
    ("name", "sentences", "mentions", "notes"),
    [
        ("BC5CDR_Test", 4779, 9796, ["begin or end inside of a word: taken with all of it (5 of"]),
        (
            "BioRED_TrainDev",
            5419,
            16868,
            [
                "share words with a longer one: left out (16 of 16,884)",
                "begin or end inside of a word: taken with all of it (54 of 16,884)",
                "go on where a sentence seems to end: it is not split there (4 of 16,884)",
            ],
        ),
        ("NCBIdisease_Test", 925, 960, []),
    ],
)
def test_corpora_become_sentences(shared_data, name, sentences, mentions, notes):
    path = shared_data / f"annotated/{name}.PubTator.gz"
    said = Lines()
    found = read_examples(path, "ner", note=said.of(path))
    assert len(found) == sentences
    assert sum(len(chunks(sentence.labels)) for sentence in found) == mentions
    assert len(said.shown()) == len(notes)
    assert all(note in line for note, line in zip(notes, said.shown(), strict=True))


def test_no_text_of_a_corpus_is_lost(shared_data):
    path = shared_data / "annotated/BioRED_Test.PubTator.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        texts = re.findall(r"(?m)^\d+\|[ta]\|(.*)", file.read())
    found = "".join(word for sentence in read_examples(path, "ner") for word in sentence.words)
    assert found == "".join("".join(texts).split())


def test_documents_that_corpora_share(shared_data):
    folder = shared_data / "annotated"
    test = read_examples(folder / "BioRED_Test.PubTator.gz", "ner")
    for name, count in (
        ("BC5CDR_TrainDev", 21),
        ("NCBIdisease_TrainDev", 1),
        ("GNormPlus_Train", 5),
    ):
        seen = Seen(read_examples(folder / f"{name}.PubTator.gz", "ner"))
        assert len(seen.documents(test)) == count
        kept = [sentence for sentence in test if not seen.has(sentence)]
        assert len({sentence.document for sentence in kept}) == 100 - count
