"""Hallmarks of Cancer: every abstract and hallmark, by abstract and by sentence; bad files."""

import tarfile
from collections import Counter

import pytest

from biobert_jax.errors import UserError
from biobert_jax.tasks.files.hoc import HALLMARKS, read_hoc


@pytest.fixture
def folder(tmp_path):
    for name in ("text", "labels"):
        (tmp_path / name).mkdir()
    (tmp_path / "text/17.txt").write_text("Cells grow .\nNothing here .\nThey do not die .\n")
    labels = "<Sustaining proliferative signaling--Receptors--x ANDCellular energetics--<NULL"
    (tmp_path / "labels/17.txt").write_text(f"{labels}<  Resisting cell death--Apoptosis")
    return tmp_path


def test_labels_belong_to_their_sentences(folder):
    [abstract] = read_hoc(folder)
    assert abstract.id == "17" and abstract.text == "Cells grow . Nothing here . They do not die ."
    expected = ("Cellular energetics", "Resisting cell death", "Sustaining proliferative signaling")
    assert abstract.labels == expected
    found = read_hoc(folder, sentences=True)
    assert [s.id for s in found] == ["17_1", "17_2", "17_3"]
    assert [s.labels for s in found] == [(expected[0], expected[2]), (), (expected[1],)]
    assert {s.document for s in found} == {"17"}


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda f: (f / "labels/17.txt").unlink(), "labels/17.txt: no such file, but"),
        (lambda f: (f / "text/17.txt").unlink(), r"no text/\*.txt"),
        (
            lambda f: (f / "labels/17.txt").write_text("<Resisting cel death--"),
            "labels/17.txt: 'Resisting cel death' is no hallmark: did you mean 'Resisting cell",
        ),
        (
            lambda f: (f / "labels/17.txt").write_text("< < < <Cellular energetics--"),
            "labels/17.txt: labels of 4 sentences, 17.txt has 3",
        ),
    ],
)
def test_bad_files_are_named(folder, harm, words):
    harm(folder)
    with pytest.raises(UserError, match=words):
        read_hoc(folder)


def test_the_real_corpus(shared_data, tmp_path):
    for name in ("text", "labels"):
        with tarfile.open(shared_data / f"classification/hoc_{name}.tar.gz") as archive:
            archive.extractall(tmp_path, filter="data")
    abstracts = read_hoc(tmp_path / "hoc")
    assert len(abstracts) == 1852
    counts = Counter(label for abstract in abstracts for label in abstract.labels)
    assert set(counts) == set(HALLMARKS) and min(counts.values()) > 100
    sentences = read_hoc(tmp_path / "hoc", sentences=True)
    assert " ".join(s.text for s in sentences) == " ".join(a.text for a in abstracts)
    assert sum(bool(s.labels) for s in sentences) > 3000
