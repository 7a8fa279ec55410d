"""Reading and writing CoNLL-style files, on real data sets and on files that are odd or broken."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.errors import UserError
from biobert_jax.scoring.conlleval import chunks
from biobert_jax.tasks.files.conll import (
    read_predictions,
    read_sentences,
    write_predictions,
)
from biobert_jax.tasks.files.examples import Sentence

NO_WORD = "\t\r\n\f\v"
WORDS = st.text(
    st.characters(exclude_characters=NO_WORD, exclude_categories=["Cs"]), min_size=1, max_size=6
).filter(
    lambda word: word != "-DOCSTART-" and not word.startswith("\ufeff") and word.strip(" ") == word
)
LABELS = st.sampled_from(["O", "B-X", "I-X", "B-Multi-tissue_structure"])
SENTENCES = st.lists(st.lists(st.tuples(WORDS, LABELS), min_size=1), min_size=1).map(
    lambda lists: [Sentence(*zip(*pairs, strict=True)) for pairs in lists]
)


def read_bytes(tmp_path, data):
    path = tmp_path / "x.tsv"
    path.write_bytes(data)
    return read_sentences(path)


def read_text(tmp_path, text):
    return read_bytes(tmp_path, text.encode("utf-8"))


@pytest.mark.parametrize(
    ("data_set", "sentences", "entities"),
    [
        ("NCBI-disease", (5424, 923, 940), (5134, 787, 960)),
        ("BC5CDR-disease", (4560, 4581, 4797), (4182, 4246, 4424)),
        ("BC5CDR-chem", (4560, 4581, 4797), (5203, 5347, 5385)),
        ("BC2GM", (12574, 2519, 5038), (15197, 3061, 6325)),
        ("BioNLP13CG-typed", (3033, 1003, 1906), (10826, 3616, 6881)),
    ],
)
def test_data_sets_have_the_published_counts(shared_data, data_set, sentences, entities):
    splits = [
        read_sentences(shared_data / f"ner/{data_set}/{split}.tsv")
        for split in ("train", "devel", "test")
    ]
    assert tuple(map(len, splits)) == sentences
    assert tuple(sum(len(chunks(s.labels)) for s in split) for split in splits) == entities


@pytest.mark.parametrize(
    "text",
    [
        "a\tO\nb\tB\n\nc\tO\n\n",
        "a\tO\nb\tB\n\nc\tO",  # no last line feed
        "a O\nb B\n\nc O\n",
        "a NN x O\nb NN x B\n\nc NN x O\n\n",  # four columns
        "\n\na\tO\nb\tB\n\n \t\n\nc\tO\n\n\n",
        "a\tO\nb\tB\n\u00a0\u2028 \nc\tO\n",  # Unicode's white space only: blank
        "-DOCSTART- -X- -X- O\n\na\tO\nb\tB\n-DOCSTART-\nc\tO\n",
        "###MEDLINE:95369245\n\na\tO\nb\tB\n\n###MEDLINE:95369246\tO\n\nc\tO\n",  # JNLPBA
        "a\tO\r\nb\tB\r\n\r\nc\tO\r\n\r\n",
        "a\tO\r\r\nb\tB\r\r\n\r\r\nc\tO\r\r\n",  # converted to CRLF twice
        "a\tO\rb\tB\r\rc\tO\r",  # old Macintosh
        "\ufeffa\tO\nb\tB\n\nc\tO\n",
        " a \t O \nb\tB\t\n\nc  O\n",
    ],
)
def test_layouts_that_mean_the_same(tmp_path, text):
    expected = [Sentence(("a", "b"), ("O", "B")), Sentence(("c",), ("O",))]
    assert read_text(tmp_path, text) == expected


@pytest.mark.parametrize(
    "word", ["é\u0085é", "5\u00a0mg", "x\u2028y", "\u00a0", "\x1c", "β‐catenin"]
)
def test_exotic_characters_stay_inside_words(tmp_path, word):
    text = f"{word}\tB-X\nz\tO\n"
    assert read_text(tmp_path, text) == [Sentence((word, "z"), ("B-X", "O"))]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\t\n"])
def test_a_line_with_a_tab_is_split_at_tabs_alone(tmp_path, end):
    text = f"deep vein\tB-X{end}3 275 \tO{end}\nz O\n"
    expected = [Sentence(("deep vein", "3 275"), ("B-X", "O")), Sentence(("z",), ("O",))]
    assert read_text(tmp_path, text) == expected


def test_sentences_know_their_first_line(tmp_path):
    sentences = read_text(tmp_path, "\n\na\tO\nb\tB\n\n\nc\tO\n")
    assert [s.where for s in sentences] == [f"{tmp_path / 'x.tsv'}:{n}" for n in (3, 7)]


def test_a_file_of_words_alone_has_no_labels(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("-DOCSTART-\n\nAspirin\nhelps\t\n\nNo\n")
    found = read_sentences(path, unlabelled=True)
    assert found == [Sentence(("Aspirin", "helps"), ()), Sentence(("No",), ())]
    assert found[1].where == f"{path}:6"
    with pytest.raises(UserError, match=r"x\.tsv:3: one column, 'Aspirin', where a word and its"):
        read_sentences(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb\tO\n", r"x\.tsv:2: 2 columns, where line 1 has 1"),
        ("a\tO\nb\n", r"x\.tsv:2: one column, 'b'"),
    ],
)
def test_labels_are_there_of_all_words_or_of_none(tmp_path, text, message):
    path = tmp_path / "x.tsv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_sentences(path, unlabelled=True)


def test_all_faults_can_be_collected_and_the_rest_kept(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("a\tO\nb\nc\tB\n\nd\tQ\n\ne\tO\tO\nf\tO\n")
    faults = []
    found = read_sentences(path, fault=lambda where, _: faults.append(where[-2:]))
    assert found == [Sentence(("a", "c"), ("O", "B")), Sentence(("f",), ("O",))]
    assert faults == [":2", ":5", ":7"]


def test_gzip_is_read(tmp_path):
    assert read_bytes(tmp_path, gzip.compress(b"a\tO\n")) == [Sentence(("a",), ("O",))]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a\tO\nb\n", r"x\.tsv:2: one column, 'b'"),
        (b"\xef\xbb\xbf\r\na\r\n", r"x\.tsv:2: one column, 'a'"),
        (b"a\tO\ndeep vein\n", r"x\.tsv:2: label 'vein' is none of"),
        (b"a O\n\ndeep vein B-X\n", r"x\.tsv:3: 3 columns, where line 1 has 2"),
        (b"a\tO\nb\tB\textra\n", r"x\.tsv:2: 3 columns, where line 1 has 2"),
        (b"a\tO\n\tO\n", r"x\.tsv:2: the word before 'O' is empty"),
        (b"a\tO\n\ncolitis\tB_X\n", r"x\.tsv:3: label 'B_X' is none of"),
        (b"O\ta\n", r"x\.tsv:1: label 'a' .* labels are the last column"),
        (b"a\tO\n\nna\xefve\tO\n", r"x\.tsv:3: not UTF-8 at byte 7 "),
        ("a\tO\nb\tB\n".encode("utf-16"), r"x\.tsv: this is UTF-16: convert it: iconv -f utf-16 "),
        (gzip.compress(b"a\tO\n" * 99, mtime=0)[:-9], r"x\.tsv:.*gzip data ends too early"),
        (b"", r"x\.tsv: no sentences"),
        (b"\n \n-DOCSTART- -X- O\n", r"x\.tsv: no sentences"),
    ],
)
def test_bad_files_are_named_with_the_line(tmp_path, data, message):
    with pytest.raises(UserError, match=message):
        read_bytes(tmp_path, data)


def test_absent_files_and_folders_are_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.tsv: no such file"):
        read_sentences(tmp_path / "absent.tsv")
    with pytest.raises(UserError, match="[Dd]irectory|folder"):
        read_sentences(tmp_path)


def test_predictions_have_bioberts_form(tmp_path):
    path = tmp_path / "NER_result_conll.txt"
    path.write_text("old")
    sentences = [Sentence(("breast", "cancer", "."), ("B", "I", "O")), Sentence(("p53",), ("B-G",))]
    write_predictions(path, sentences, [["O", "B", "O-MISC"], ["S-G"]])
    assert path.read_bytes() == (
        b"breast B-entity O\ncancer I-entity B-entity\n. O O-MISC\n\np53 B-G S-G\n\n"
    )
    assert list(tmp_path.iterdir()) == [path]


def test_words_with_spaces_are_written_between_tabs(tmp_path):
    path = tmp_path / "p.conll"
    write_predictions(path, [Sentence(("deep vein", "."), ("B-X", "O"))], [["O", "B"]])
    assert path.read_bytes() == b"deep vein\tB-X\tO\n.\tO\tB-entity\n\n"
    assert read_predictions(path) == ([("B-X", "O")], [("O", "B-entity")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a O\n", r"p:1: 2 columns, 'a O', where a word, its label and the predicted label"),
        ("a O O\n\nb O B_X\n", r"p:3: label 'B_X' is none of"),
        ("", "p: no predictions"),
    ],
)
def test_bad_predictions_are_named_with_the_line(tmp_path, text, message):
    (tmp_path / "p").write_text(text)
    with pytest.raises(UserError, match=message):
        read_predictions(tmp_path / "p")


@given(sentences=SENTENCES, data=st.data())
def test_written_predictions_are_read_back(tmp_path_factory, sentences, data):
    predicted = [
        tuple(data.draw(st.lists(LABELS, min_size=len(s.words), max_size=len(s.words))))
        for s in sentences
    ]
    path = tmp_path_factory.mktemp("predictions") / "p.txt"
    write_predictions(path, sentences, predicted)
    expected = [Sentence(s.words, labels) for s, labels in zip(sentences, predicted, strict=True)]
    assert read_sentences(path) == expected


@pytest.mark.parametrize(
    ("sentences", "predicted", "message"),
    [
        ([Sentence(("a", "b"), ("O", "O"))], [["O"]], "sentence 1: 2 words, 2 gold and 1 pred"),
        ([Sentence(("a",), ("O",))], [], "sentence 1: there are no more predicted labels"),
        ([], [["O"]], "sentence 1: there are no more sentences"),
        ([Sentence(("a\tb",), ("O",))], [["O"]], r"sentence 1: 'a\\tb' is .* holds a tab"),
        ([Sentence(("a\nb",), ("O",))], [["O"]], r"sentence 1: 'a\\nb' is .* line break"),
        ([Sentence(("a",), ("O",))], [[""]], "sentence 1: '' is empty"),
    ],
)
def test_a_failed_write_leaves_the_old_file(tmp_path, sentences, predicted, message):
    path = tmp_path / "p.txt"
    path.write_text("old")
    with pytest.raises(UserError, match=message):
        write_predictions(path, sentences, predicted)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/p\.txt: cannot be written: (Not a dir|File ex)"):
        write_predictions(tmp_path / "file" / "p.txt", [], [])
