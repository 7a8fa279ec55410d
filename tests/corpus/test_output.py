"""The output folder: finished sets looked at again, space given back, deaths in every stage."""

import json
import os

import pytest

from biobert_jax import cli
from biobert_jax.corpus.pipeline import output as module
from biobert_jax.corpus.pipeline import pack, prepare, spill, tasks
from biobert_jax.corpus.pipeline.arguments import PrepareArguments
from biobert_jax.corpus.text.tokenization import SPECIAL_NAMES
from biobert_jax.errors import UserError

WORDS = "aspirin helps the patient of ward and codeine does not".split()


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Three files, a task each, of four shards; ranges of keys are used."""
    monkeypatch.setattr(tasks, "TASK_BYTES", 8000)
    monkeypatch.setattr(pack, "SMALL_BYTES", 1)
    monkeypatch.setattr(spill, "CHUNK_BYTES", 2000)
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL_NAMES, *WORDS, *"0123456789"]) + "\n")
    for name in "abc":
        lines = [
            json.dumps({"id": f"{name}{n}", "text": " ".join([name, *WORDS[n % 7 :], *str(n)])})
            for n in range(60)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    return tmp_path


def arguments(corpus, **changes):
    inputs = tuple(str(corpus / f"{name}.jsonl") for name in "abc")
    values = dict(max_seq_length=32, shards=4, held_out=0.1)
    return PrepareArguments(inputs, "jsonl", str(corpus / "vocab.txt"), **{**values, **changes})


def run(corpus, name, **changes):
    said = []
    given = arguments(corpus, **changes)
    manifest = prepare.prepare(given, corpus / name / "data", notice=said.append)
    return manifest, said


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "inputs.json"}


def change(path, old, new):
    """Keeps the size if the words are of one length; the time of change is another for certain."""
    status = path.stat()
    path.write_text(path.read_text().replace(old, new))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def test_a_finished_set_is_the_answer_while_nothing_has_changed(corpus):
    first, _ = run(corpus, "x")
    before = content(corpus / "x/data")
    again, said = run(corpus, "x")
    assert again.to_json() == first.to_json() and not said and content(corpus / "x/data") == before
    assert set(first.files) == {"corpus.html", "corpus.json", "dataset_info.json", "features.json"}


def test_an_input_of_the_same_size_that_has_changed_is_said(corpus):
    run(corpus, "x")
    before = content(corpus / "x/data")
    change(corpus / "b.jsonl", "aspirin", "codeine")
    with pytest.raises(UserError, match=r"b\.jsonl has changed since this data set was made"):
        run(corpus, "x")
    assert content(corpus / "x/data") == before


def test_an_input_among_very_many_that_has_changed_is_said(corpus, monkeypatch):
    monkeypatch.setattr(module, "MAX_INPUTS_NAMED", 2)
    run(corpus, "x")
    assert json.loads((corpus / "x/data/inputs.json").read_text())["files"] == {}
    change(corpus / "b.jsonl", "aspirin", "codeine")
    with pytest.raises(UserError, match="one of 3 input files has changed"):
        run(corpus, "x")


@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_a_shard_that_is_missing_or_cut_is_made_again(corpus, harm):
    run(corpus, "x")
    before = content(corpus / "x/data")
    victim = corpus / "x/data/train-00001-of-00004.tfrecord"
    victim.unlink() if harm == "gone" else victim.write_bytes(victim.read_bytes()[:-1])
    _, said = run(corpus, "x")
    assert len(said) == 1 and victim.name in said[0] and "prepared anew" in said[0]
    assert content(corpus / "x/data") == before


def test_without_a_record_of_the_inputs_names_and_sizes_must_do(corpus):
    run(corpus, "x")
    (corpus / "x/data/inputs.json").write_text("{")
    run(corpus, "x")
    (corpus / "x/data/inputs.json").unlink()
    run(corpus, "x")
    change(corpus / "b.jsonl", "aspirin", "codeine")
    run(corpus, "x")
    change(corpus / "b.jsonl", "codeine", "x")
    with pytest.raises(UserError, match="holds another data set"):
        run(corpus, "x")


@pytest.mark.parametrize("named", [1000, 1])
def test_a_bad_file_that_was_mended_is_tried_again(corpus, monkeypatch, named):
    monkeypatch.setattr(module, "MAX_INPUTS_NAMED", named)
    expected, _ = run(corpus, "expected")
    intact = (corpus / "c.jsonl").read_text()
    (corpus / "c.jsonl").write_text(intact[:-1] + "?")
    manifest, _ = run(corpus, "x")
    assert len(manifest.failed) == 1 and str(corpus / "c.jsonl") in next(iter(manifest.failed))
    again, said = run(corpus, "x")
    assert again.to_json() == manifest.to_json() and not said
    change(corpus / "c.jsonl", "?", "}")
    mended, said = run(corpus, "x")
    assert not mended.failed and mended.to_json() == expected.to_json()
    assert len(said) == 1 and "c.jsonl has changed and is tried again" in said[0]
    assert content(corpus / "x/data") == content(corpus / "expected/data")


def test_members_and_lines_are_told_to_be_of_their_file():
    paths = ["a.tar.gz", "d/b.tar.gz", "c"]
    assert module._bad_files(paths, {"d/b.tar.gz/x/y.nxml": "bad"}) == ["d/b.tar.gz"]
    assert module._bad_files(paths, {"c:12": "bad"}) == ["c"]
    assert module._bad_files(paths, {}) == []


def test_only_shards_of_our_own_names_are_replaced(corpus):
    run(corpus, "x")
    (corpus / "x/data/mine.tfrecord").write_text("mine")
    (corpus / "x/data/train-00009-of-00010.tfrecord").write_text("of another run")
    (corpus / "x/data/train-00001-of-00004.tfrecord").unlink()
    run(corpus, "x")
    names = {path.name for path in (corpus / "x/data").glob("*.tfrecord")}
    assert "mine.tfrecord" in names and "train-00009-of-00010.tfrecord" not in names


def test_space_is_given_back_stage_by_stage(corpus, monkeypatch):
    seen = []

    def watch(name):
        original = getattr(prepare, name)

        def watched(*args):
            result = original(*args)
            work = corpus / "x/data/.work"
            count = {
                kind: len(list(work.glob(f"task-*.{kind}"))) for kind in ("documents", "train.*")
            }
            seen.append((name, count["documents"], count["train.*"]))
            return result

        monkeypatch.setattr(prepare, name, watched)

    for name in ("encode_task", "pack_task", "shard_task"):
        watch(name)
    run(corpus, "x")
    assert [s for s in seen if s[0] == "pack_task"] == [
        ("pack_task", 2, 8),
        ("pack_task", 1, 16),
        ("pack_task", 0, 24),
    ]
    # Seen before the shard's own rows go: two of eight ranges, of three tasks, a shard.
    train = [s for s in seen if s[0] == "shard_task"][:4]
    assert [left for _, _, left in train] == [24, 18, 12, 6]


@pytest.mark.parametrize("shard", [1, 3, 5])
def test_a_death_while_shards_are_written_costs_no_reading(corpus, monkeypatch, shard):
    run(corpus, "expected")
    died = dying(monkeypatch, "shard_task", shard, corpus)
    encoded = []
    original = prepare.encode_task
    monkeypatch.setattr(pack, "encode_task", lambda *a: encoded.append(a) or original(*a))
    run(corpus, "x")
    assert died and not encoded
    assert content(corpus / "x/data") == content(corpus / "expected/data")


@pytest.mark.parametrize("stage, call", [("pack_task", 3), ("shard_task", 3), ("publish", 1)])
def test_a_file_that_changes_after_space_was_given_back_is_heeded(corpus, monkeypatch, stage, call):
    dying(monkeypatch, stage, call, corpus)
    # A duplicate of what stands in a file that was packed already goes to the first of the two.
    lines = (corpus / "c.jsonl").read_text().splitlines()
    (corpus / "a.jsonl").write_text((corpus / "a.jsonl").read_text() + "\n" + lines[5])
    run(corpus, "x")
    run(corpus, "expected")
    assert content(corpus / "x/data") == content(corpus / "expected/data")


def test_a_file_that_changes_while_the_run_goes_on_is_said(corpus, monkeypatch):
    dying(monkeypatch, "shard_task", 3, corpus)
    original = prepare.resolve_documents

    def resolve(*args):
        change(corpus / "b.jsonl", "aspirin", "codeine")
        return original(*args)

    monkeypatch.setattr(prepare, "resolve_documents", resolve)
    change(corpus / "a.jsonl", "aspirin", "codeine")  # so that all shards are written anew
    with pytest.raises(UserError, match=r"b\.jsonl: this file, or one read with it, has changed"):
        run(corpus, "x")
    monkeypatch.setattr(prepare, "resolve_documents", original)
    run(corpus, "x")
    run(corpus, "expected")
    assert content(corpus / "x/data") == content(corpus / "expected/data")


def dying(monkeypatch, stage, call, corpus):
    """Runs into a death at the so-manieth call of a stage's function."""
    original, calls = getattr(prepare, stage), []

    def function(*args):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(prepare, stage, function)
        with pytest.raises(KeyboardInterrupt):
            run(corpus, "x")
    return calls


def test_files_have_the_rights_that_umask_gives(corpus):
    before = os.umask(0o027)
    try:
        run(corpus, "x")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (corpus / "x/data").iterdir()}
    assert set(modes.values()) == {0o640}, modes


def test_a_second_run_on_the_same_output_is_refused(corpus):
    work = corpus / "x/data/.work"
    work.mkdir(parents=True)
    with module.locked(corpus / "x/data"), pytest.raises(UserError, match="at work there"):
        run(corpus, "x")


def test_a_lock_in_a_store_of_objects(corpus):
    class Stored:
        """A local folder with the name of one in a store."""

        def __fspath__(self):
            return f"gs://{corpus}/x"

        def __truediv__(self, name):
            return corpus / "x" / name

    folder = Stored()
    (folder / ".work").mkdir(parents=True)
    with module.locked(folder):
        with pytest.raises(UserError, match="if none is running, remove"), module.locked(folder):
            pass
    with module.locked(folder):
        pass


def test_no_file_name_gives_orders_to_the_terminal(corpus, capsys):
    (corpus / "\x1b[2Jd.jsonl").write_text("not JSON\n")
    command = ["prepare", "--input", str(corpus / "*.jsonl"), "--format", "jsonl"]
    command += ["--vocab", str(corpus / "vocab.txt"), "--output", str(corpus / "\x1b[31mout")]
    assert cli.main([*command, "--workers", "1"]) == 1
    assert cli.main([*command, "--workers", "1", "--seed", "7"]) == 1
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert "\\x1b[2Jd.jsonl" in printed.err and "\\x1b[31mout" in printed.out
