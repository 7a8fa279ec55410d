"""Tab-separated texts: the real sets' counts, every header, and what is wrong by file and line."""

import gzip
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.errors import UserError
from biobert_jax.tasks.files.examples import TextExample
from biobert_jax.tasks.files.tsv import read_tsv


def read(tmp_path, text, **options):
    path = tmp_path / "x.tsv"
    path.write_bytes(text.encode("utf-8"))
    return read_tsv(path, **options)


def test_gad_has_the_published_counts(shared_data):
    folds = range(1, 11)
    trains = {k: read_tsv(shared_data / f"re/GAD/{k}/train.tsv") for k in folds}
    tests = {k: read_tsv(shared_data / f"re/GAD/{k}/test.tsv") for k in folds}
    assert {len(trains[k]) + len(tests[k]) for k in folds} == {5330}
    assert {len(read_tsv(shared_data / f"re/GAD/{k}/dev.tsv")) for k in folds} == {0}
    assert sum(map(len, tests.values())) == 5330
    everything = [e for test in tests.values() for e in test]
    assert Counter(e.labels for e in everything) == {("1",): 2801, ("0",): 2529}
    # Each fold's own lines, no word lost.
    lines = (shared_data / "re/GAD/3/test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert [f"{e.id}\t{e.text}\t{e.labels[0]}" for e in tests[3]] == lines
    sentences = Counter(e.text for e in everything)
    assert sum(n - 1 for n in sentences.values()) == 208


def test_chemprot_has_the_published_counts(shared_data):
    splits = [read_tsv(shared_data / f"re/chemprot/{s}.tsv") for s in ("train", "dev", "test")]
    assert [len(split) for split in splits] == [16521, 10361, 14396]
    labels = [Counter(e.labels[0] for e in split) for split in splits]
    assert [len(s) - c["False"] for s, c in zip(splits, labels, strict=True)] == [4132, 2412, 3441]
    assert {*labels[0]} == {"CPR:3", "CPR:4", "CPR:5", "CPR:6", "CPR:9", "False"}
    text = (shared_data / "re/chemprot/dev.tsv").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()[1:]]
    assert [f"{e.text}\t{e.labels[0]}" for e in splits[1]] == lines


def test_bioasq_yes_no_pairs_and_biosses(shared_data):
    train, test = (read_tsv(shared_data / f"qa/bioasq/yesno_{s}.tsv") for s in ("train", "test"))
    assert Counter(e.labels for e in train) == {("yes",): 579, ("no",): 149}
    assert Counter(e.labels for e in test) == {("yes",): 102, ("no",): 26}
    assert train[0].text == "Are ultraconserved enhancers important for normal development?"
    assert train[0].pair == "ultraconserved enhancers are required for normal development."
    pairs = read_tsv(shared_data / "similarity/biosses.tsv")
    assert [e.id for e in pairs] == [str(n) for n in range(1, 101)]
    assert round(sum(e.value for e in pairs) / 100, 3) == 2.198
    assert all(e.labels is None and e.pair for e in pairs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b\t1\nc d\t0\n", [("0", "a b", "", ("1",)), ("1", "c d", "", ("0",))]),
        ("index\tsentence\tlabel\n7\ta b\tDDI-int\n", [("7", "a b", "", ("DDI-int",))]),
        ("INDEX\tSENTENCE\tLABEL\r\n7\ta b\tX\r\n", [("7", "a b", "", ("X",))]),
        ("\ufefflabel\ttext\nX\ta b\n\n", [("0", "a b", "", ("X",))]),
        ("sentence\na b\n", [("0", "a b", "", None)]),
        ("a b\nc\n", [("0", "a b", "", None), ("1", "c", "", None)]),
        ("7\ta b\tX\n8\tc\tY\n", [("7", "a b", "", ("X",)), ("8", "c", "", ("Y",))]),
        ("a b\tc d\tX\na e\tf\tY\n", [("0", "a b", "c d", ("X",)), ("1", "a e", "f", ("Y",))]),
        ("7\ta b\tc d\tX\n", [("7", "a b", "c d", ("X",))]),
        ("idx\tquestion\tsentence\tlabel\n7\ta?\tb\tX\n", [("7", "a?", "b", ("X",))]),
        ("sentence1\tsentence2\tlabel\na\tb\tX\n", [("0", "a", "b", ("X",))]),
        ("question\tcontext\tfinal_decision\na?\tb\tmaybe\n", [("0", "a?", "b", ("maybe",))]),
        ("labels\ttext\nX|Y\ta\n\tb\n", [("0", "a", "", ("X", "Y")), ("1", "b", "", ())]),
        ("labels\ttext\nX, Y\ta\n", [("0", "a", "", ("X", "Y"))]),
        (
            "labels\ttext\n0_0,1_1,2_1\ta\n0_0,1_0\tb\n",
            [("0", "a", "", ("1", "2")), ("1", "b", "", ())],
        ),
        ("sentence\tlabel\n", []),
        ("", []),
        ("\n", []),
        ('"a" b"\t1\n', [("0", '"a" b"', "", ("1",))]),  # nothing is quoted
        ("a\u2028b\x85c\t1\n", [("0", "a\u2028b\x85c", "", ("1",))]),
    ],
)
def test_forms(tmp_path, text, expected):
    found = read(tmp_path, text)
    assert [(e.id, e.text, e.pair, e.labels) for e in found] == expected


def test_values_and_groups(tmp_path):
    text = "id\ts1\ts2\tscores\tmean\tgroup\nx\ta\tb\t4 4 3\t3.5\tg\n"
    assert read(tmp_path, text) == [TextExample("x", "a", "b", value=3.5, group="g")]


def test_places_are_lines_and_gzip_is_read(tmp_path):
    path = tmp_path / "x.tsv.gz"
    path.write_bytes(gzip.compress(b"sentence\tlabel\n\na\t1\nb\t0\n"))
    assert [e.where for e in read_tsv(path)] == [f"{path}:3", f"{path}:4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b\t1\nc d\n", r"x\.tsv:2: 1 column, where line 1 has 2: separate them by one tab each"),
        ("a\t1\nb\t0\tz\n", r"x\.tsv:2: 3 columns, where line 1 has 2"),
        ("sentence\tlabel\na\t1\n\t1\n", r"x\.tsv:3: no text"),
        ("sentence1\tsentence2\tlabel\na\t\t1\n", r"x\.tsv:2: no second text"),
        ("sentence\tlabel\na\t \n", r"x\.tsv:2: no label: give one, or leave out the column"),
        (
            "index\tsentence\tlabel\n1\ta\tx\n1\tb\tx\n",
            r"x\.tsv:3: id '1' stands at .*x\.tsv:2 alr",
        ),
        (
            "index\tutterance\tlabel\n1\ta\tx\n",
            r"x\.tsv:1: the header 'index.*' names no text: cal",
        ),
        ("sentence1\tsentence2\tscore\na\tb\thigh\n", r"x\.tsv:2: 'high' is no number"),
        ("sentence1\tsentence2\tscore\na\tb\tnan\n", r"x\.tsv:2: 'nan' is no number"),
        ("a\tb\tc\td\te\n", r"x\.tsv:1: 5 columns without a header: put a line with their names"),
    ],
)
def test_faults_name_file_and_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, text)


def test_absent_files_and_other_encodings(tmp_path):
    with pytest.raises(UserError, match=r"absent\.tsv: no such file"):
        read_tsv(tmp_path / "absent.tsv")
    (tmp_path / "x.tsv").write_bytes("naïve\t1\n".encode("cp1252"))
    with pytest.raises(UserError, match=r"x\.tsv:1: not UTF-8 at byte 2 .* iconv -f cp1252"):
        read_tsv(tmp_path / "x.tsv")


def test_all_faults_can_be_collected_and_the_rest_kept(tmp_path):
    faults = []
    text = "sentence\tlabel\na\t1\nb\nc\t\nd\t0\n"
    found = read(tmp_path, text, fault=lambda where, what: faults.append(where[-1]))
    assert [e.text for e in found] == ["a", "d"]
    assert faults == ["3", "4"]


def test_quotation_marks_around_a_field_are_noted(tmp_path):
    notes = []
    text = '"a ""b"" c"\t1\nd\t0\n'
    found = read(tmp_path, text, note=lambda where, what: notes.append((where[-1], what)))
    assert found[0].text == '"a ""b"" c"'
    assert notes == [("1", "a field in quotation marks: they are taken for part of it")]


FIELDS = st.text(st.characters(exclude_characters="\t\r\n", exclude_categories=["Cs"]), min_size=1)


@given(rows=st.lists(st.tuples(FIELDS, FIELDS), min_size=1))
def test_any_text_is_read_back(tmp_path_factory, rows):
    rows = [(a.strip(), b.strip()) for a, b in rows if a.strip() and b.strip()]
    path = tmp_path_factory.mktemp("tsv") / "x.tsv"
    body = "".join(f"{a}\t{b}\n" for a, b in rows)
    path.write_text(f"sentence\tlabel\n{body}", encoding="utf-8", newline="\n")
    assert [(e.text, *e.labels) for e in read_tsv(path)] == rows
