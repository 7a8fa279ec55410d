"""What --input stands for, however it is spelt."""

import os

import pytest

from biobert_jax.corpus import inputs as module
from biobert_jax.corpus.documents import CorpusFileError
from biobert_jax.corpus.inputs import expand_inputs, standard_input_as_file
from biobert_jax.errors import UserError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        *("a.txt", "b.txt.gz", "c.TXT", "d.xml", ".hidden.txt", "visit [2]/1.txt", "visit [2].txt"),
        *("sub/e.txt", "sub/.git/f.txt", "smith, j.txt", "x,y.txt", "@odd.txt", " blank.txt"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def names(folder, *entries, suffixes=(".txt",)):
    files = expand_inputs(entries, suffixes)
    assert all(os.path.isabs(path) for path in files)
    return [os.path.relpath(path, folder) for path in files]


@pytest.mark.parametrize(
    "entries, expected",
    [
        (["a.txt"], ["a.txt"]),
        (["d.xml,a.txt"], ["d.xml", "a.txt"]),
        (["d.xml", "a.txt", " a.txt , ./a.txt"], ["d.xml", "a.txt"]),
        (["?.txt,*.xml"], ["a.txt", "d.xml"]),
        (["**/e.txt"], ["sub/e.txt"]),
        # A name that is there wins.
        (["visit [2].txt"], ["visit [2].txt"]),
        (["smith, j.txt"], ["smith, j.txt"]),
        (["a.txt,smith, j.txt,x,y.txt"], ["a.txt", "smith, j.txt", "x,y.txt"]),
        (["@odd.txt"], ["@odd.txt"]),
        ([" blank.txt"], [" blank.txt"]),
        (["visit [2]/*.txt"], ["visit [2]/1.txt"]),
        (["visit [2]"], ["visit [2]/1.txt"]),
        (["sub"], ["sub/e.txt"]),
        (["sub/../a.txt"], ["a.txt"]),
    ],
)
def test_names_and_patterns(folder, entries, expected):
    assert names(folder, *entries) == expected


def test_a_folder_is_read_with_all_below_it_by_the_formats_endings(folder):
    everything = names(folder, ".")
    assert everything == sorted(everything)
    assert set(everything) == {
        *("a.txt", "b.txt.gz", "c.TXT", "visit [2]/1.txt", "visit [2].txt", "sub/e.txt"),
        *("smith, j.txt", "x,y.txt", "@odd.txt", " blank.txt"),
    }
    assert names(folder, ".", suffixes=(".xml",)) == ["d.xml"]
    with pytest.raises(UserError, match="the folder sub has no file that ends in .jsonl"):
        expand_inputs(["sub"], (".jsonl",))


def test_what_a_command_writes_into_the_folder_is_not_read_by_the_next(folder):
    assert "sub/e.txt" in names(folder, ".")
    for output in ("sub", folder / "sub", "./sub/"):
        files = expand_inputs(["."], (".txt",), output=output)
        assert files and not any("/sub/" in path for path in files)
    assert expand_inputs(["sub"], (".txt",), output="sub") == (str(folder / "sub/e.txt"),)


def test_lists_of_names(folder):
    (folder / "list.txt").write_text("\ufeffx,y.txt\r\n\n sub/e.txt\r\n.hidden.txt\n")
    assert names(folder, "a.txt", "@list.txt") == ["a.txt", "x,y.txt", "sub/e.txt", ".hidden.txt"]
    (folder / "list.txt").write_text("a.txt\nsub\n")
    with pytest.raises(UserError, match="list.txt:2: sub is a folder"):
        expand_inputs(["@list.txt"])
    (folder / "list.txt").write_text("a.txt\n\naa.txt\n")
    with pytest.raises(UserError, match=r"list.txt:3: no such file: aa.txt \(did you mean a.txt"):
        expand_inputs(["@list.txt"])
    with pytest.raises(UserError, match="none.txt"):
        expand_inputs(["@none.txt"])
    (folder / "list.txt").write_bytes("a.txt\n".encode("utf-16"))
    with pytest.raises(UserError, match="list.txt: this is UTF-16"):
        expand_inputs(["@list.txt"])
    (folder / "list.txt").write_bytes(b"%PDF-1.4\n")
    with pytest.raises(UserError, match="list.txt: this is a PDF"):
        expand_inputs(["@list.txt"])
    # Names need not be UTF-8.
    odd = os.fsdecode(b"caf\xe9.txt")
    (folder / odd).write_text("x")
    (folder / "list.txt").write_bytes(b"caf\xe9.txt\n")
    assert names(folder, "@list.txt") == [odd]


def test_one_file_has_one_name(folder):
    os.symlink(folder / "sub", folder / "link")
    spelt = ["sub/e.txt", "./sub/e.txt", f"{folder}/sub/e.txt", "link/e.txt", "sub/../sub/e.txt"]
    assert {expand_inputs([name]) for name in spelt} == {(str(folder / "sub/e.txt"),)}


@pytest.mark.parametrize(
    "entry, message",
    [
        ("a.tx", r"no such file: a.tx \(did you mean a.txt\?\)"),
        ("sub/q.json", "no such file: sub/q.json$"),
        ("*.json", r"no file matches \*.json"),
        ("Aspirin helps the patient.", "a text itself goes in by a pipe"),
        ("", "--input is empty"),
        (" , ", "--input is empty"),
        ("x" * 5000, "no such file"),
        ("a\0b", "no such file"),
        ("a.txt/b", "no such file"),
        ("dangling", "a link to what is not there"),
    ],
)
def test_what_is_not_there_is_named(folder, entry, message):
    os.symlink("nowhere", folder / "dangling")
    with pytest.raises(UserError, match=message):
        expand_inputs([entry])


def test_a_folder_that_must_not_be_read_is_not_taken_for_an_empty_one(folder):
    (folder / "sub").chmod(0)
    try:
        if not os.access(folder / "sub", os.R_OK):  # Root may read it all the same.
            for entry in ("sub", "sub/e.txt"):
                with pytest.raises(UserError, match="Permission denied"):
                    expand_inputs([entry])
    finally:
        (folder / "sub").chmod(0o755)


@pytest.fixture
def piped(monkeypatch):
    """Makes the bytes that it is given standard input."""
    before = os.dup(0)

    def pipe(data):
        source, sink = os.pipe()
        os.write(sink, data)
        os.close(sink)
        os.dup2(source, 0)
        os.close(source)

    yield pipe
    os.dup2(before, 0)
    os.close(before)


def test_standard_input_becomes_a_file_named_by_its_content(folder, piped):
    found = []
    for data in (b"one", b"one", b"two"):
        piped(data)
        with standard_input_as_file(expand_inputs(["a.txt", "-"]), folder / "out") as files:
            assert files[0] == str(folder / "a.txt")
            with open(files[1], "rb") as stream:
                assert stream.read() == data
            assert os.path.basename(files[1]) == "stdin"
            found.append((files[1], os.stat(files[1]).st_mtime_ns))
            with pytest.raises(UserError, match="another command is reading"):
                with standard_input_as_file([module.STDIN], folder / "out"):
                    pass
        assert not os.path.exists(files[1])
    assert found[0] == found[1] != found[2]
    assert not list(folder.glob(".*stdin*"))


def test_errors_call_standard_input_by_its_name(folder, piped):
    piped(b"one")
    with pytest.raises(UserError, match="^stdin:3: not JSON$"):
        with standard_input_as_file([module.STDIN], folder / "out") as (path,):
            assert module.without_copies(f"left out: {path}:1: x") == "left out: stdin:1: x"
            raise CorpusFileError(path, "3", "not JSON")
    with pytest.raises(CorpusFileError):
        with standard_input_as_file(["a.txt"], folder / "out"):
            raise CorpusFileError("a.txt", "3", "not JSON")


def test_standard_input_is_not_for_object_stores():
    with pytest.raises(UserError, match="write it to a file first"):
        with standard_input_as_file([module.STDIN], "gs://bucket/out"):
            pass


def test_named_pipes_are_read_once(folder, monkeypatch):
    os.mkfifo(folder / "pipe")
    monkeypatch.setattr(module, "_copied", lambda path, _: f"{path}'s copy")
    paths = expand_inputs(["pipe", "a.txt"])
    with standard_input_as_file(paths, folder / "out") as files:
        assert files == [f"{folder}/pipe's copy", f"{folder}/a.txt"]


def test_a_list_of_very_many_paths(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "isfile", lambda path: True)
    count = 20_000
    with open(tmp_path / "list.txt", "w") as stream:
        stream.writelines(f"/data/pmc/{n % 100:03}/PMC{n}.xml\n" for n in range(count))
    files = expand_inputs([f"@{tmp_path}/list.txt"])
    assert len(files) == count and files[-1] == "/data/pmc/099/PMC19999.xml"
