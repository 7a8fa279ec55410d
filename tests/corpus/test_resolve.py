"""Which documents count: against the rules written down naively, whatever the order and ranges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.corpus.documents import Share
from biobert_jax.corpus.pipeline import resolve as module
from biobert_jax.corpus.pipeline.encoded import (
    DELETION_DTYPE,
    INDEX_DTYPE,
    EncodedWriter,
    read_documents,
    read_index,
    write_array,
)
from biobert_jax.corpus.pipeline.resolve import REASONS, place_in_sequence, resolve
from biobert_jax.corpus.pipeline.tasks import Task, plan_tasks, task_path

SPREAD = 0x9E3779B97F4A7C15  # so that small numbers fall into all ranges of hashes


def spread(number):
    return number * SPREAD % 2**64


def write_tasks(work, documents, paths, deletions=(), bands=None):
    """`documents`: a list of (id, content, revision, file) a task; one file or more a task."""
    tasks = []
    for number, entries in enumerate(documents):
        task = Task(number, tuple(paths), 0, Share(), 0)
        index = np.zeros(len(entries), INDEX_DTYPE)
        for place, (id_, content, revision, file) in enumerate(entries):
            index[place]["id"], index[place]["content"] = spread(id_), spread(content)
            index[place]["revision"], index[place]["file"] = revision, file
        write_array(task_path(work, task, "index"), index)
        mine = [(spread(id_), file) for id_, file in deletions] if number == 0 else []
        write_array(task_path(work, task, "deletions"), np.array(mine, DELETION_DTYPE))
        if bands is not None:
            rows = [[spread(key) for key in keys] for keys in bands[number]]
            write_array(task_path(work, task, "bands"), np.array(rows, "<u8"))
        tasks.append(task)
    return tasks


def verdicts(work, tasks, **options):
    arguments = {"ids_are_global": True, "drop_duplicates": True, "near_duplicates": False}
    found = resolve(tasks, str(work), **{**arguments, **options})
    return [[REASONS[v] for v in verdict] for verdict in found]


def naive(documents, deletions, paths):
    sequence = [place_in_sequence(path) for path in paths]
    everything = [
        (task, place, *entry)
        for task, entries in enumerate(documents)
        for place, entry in enumerate(entries)
    ]
    result = [["kept"] * len(entries) for entries in documents]
    newest = {}
    for task, place, id_, _, revision, file in everything:
        if any(
            id_ == gone and (sequence[where] == 0 or sequence[where] >= sequence[file])
            for gone, where in deletions
        ):
            result[task][place] = "deleted"
            continue
        rank = (revision, sequence[file], task, place)
        if id_ in newest and newest[id_] > rank:
            result[task][place] = "superseded"
            continue
        if id_ in newest:
            older = newest[id_]
            result[older[2]][older[3]] = "superseded"
        newest[id_] = rank
    seen = set()
    for task, place, _, content, _, _ in everything:
        if result[task][place] == "kept":
            if content in seen:
                result[task][place] = "duplicate"
            seen.add(content)
    return result


PATHS = ["pubmed21n0001.xml.gz", "pubmed21n1003.xml.gz", "other.xml", "pubmed22n0004.xml.gz"]
ENTRY = st.tuples(st.integers(0, 6), st.integers(0, 9), st.integers(0, 2), st.integers(0, 3))


@settings(max_examples=120, deadline=None)
@given(
    documents=st.lists(st.lists(ENTRY, max_size=12), min_size=1, max_size=4),
    deletions=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), max_size=3),
    size=st.integers(1, 20),
)
def test_versions_deletions_and_duplicates(tmp_path_factory, documents, deletions, size):
    work = tmp_path_factory.mktemp("work")
    tasks = write_tasks(work, documents, PATHS, deletions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RANGE_DOCUMENTS", size)
        assert verdicts(work, tasks) == naive(documents, deletions, PATHS)


def test_the_story_of_a_pmid(tmp_path):
    # Published, revised in an update, deleted in a later one, and back after that.
    baseline, update, removal, back = 0, 1, 2, 3
    paths = [f"pubmed21n000{n}.xml.gz" for n in range(1, 5)]
    documents = [[(7, 1, 20200101, baseline)], [(7, 2, 20210101, update)]]
    tasks = write_tasks(tmp_path, documents, paths)
    assert verdicts(tmp_path, tasks) == [["superseded"], ["kept"]]
    tasks = write_tasks(tmp_path, documents, paths, [(7, removal)])
    assert verdicts(tmp_path, tasks) == [["deleted"], ["deleted"]]
    tasks = write_tasks(tmp_path, [*documents, [(7, 2, 20210101, back)]], paths, [(7, removal)])
    assert verdicts(tmp_path, tasks) == [["deleted"], ["deleted"], ["kept"]]


def test_near_duplicates_are_judged_against_all_that_is_left(tmp_path):
    # 1 and 2 share a band, 2 and 3 another: 3 goes too, though 2 has gone before.
    documents = [[(1, 1, 0, 0), (2, 2, 0, 0)], [(3, 3, 0, 0), (4, 4, 0, 0)]]
    bands = [[(1, 50), (1, 60)], [(3, 60), (4, 70)]]
    tasks = write_tasks(tmp_path, documents, ["a"], bands=bands)
    found = verdicts(tmp_path, tasks, near_duplicates=True)
    assert found == [["kept", "near_duplicate"], ["near_duplicate", "kept"]]


@pytest.mark.parametrize("ids_are_global", [True, False])
def test_ids_of_other_formats_are_not_versions(tmp_path, ids_are_global):
    tasks = write_tasks(tmp_path, [[(1, 1, 0, 0), (1, 2, 0, 0)]], ["notes.jsonl"])
    found = verdicts(tmp_path, tasks, ids_are_global=ids_are_global)
    assert found == [["superseded" if ids_are_global else "kept", "kept"]]


@pytest.mark.parametrize(
    "name, place",
    [
        ("pubmed24n1220.xml.gz", 24_001_220),
        ("oa_comm_xml.incr.2024-06-19.tar.gz", 20_240_619),
        ("oa_comm_xml.PMC000xxxxxx.baseline.2023-12-18.tar.gz", 20_231_218),
        ("articles.xml", 0),
    ],
)
def test_names_tell_the_order_of_publication(name, place):
    assert place_in_sequence(name) == place


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 40 << 20), max_size=40),
)
def test_tasks_divide_the_input(sizes):
    paths = [f"f{n}" for n in range(len(sizes))]
    tasks = plan_tasks(paths, sizes)
    assert [t.index for t in tasks] == list(range(len(tasks)))
    whole = [p for task in tasks if task.share.part == 0 for p in task.paths]
    assert whole == paths
    for task in tasks:
        assert task.paths[0] == paths[task.first_file]
        assert len(task.paths) == 1 or task.share.num_parts == 1
        same = [t for t in tasks if t.first_file == task.first_file]
        assert [t.share.part for t in same] == list(range(task.share.num_parts))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.integers(1, 5), max_size=4), st.booleans()), max_size=30),
    st.integers(1, 60),
)
def test_encoded_documents_are_read_back(tmp_path_factory, documents, block):
    from biobert_jax.corpus.pipeline import encoded

    folder = tmp_path_factory.mktemp("encoded")
    dtype = np.dtype("<u2")
    random = np.random.default_rng(0)
    written = []
    paths = [folder / kind for kind in ("documents", "index", "bands")]
    with EncodedWriter(*paths, dtype) as writer:
        for lengths, _ in documents:
            ids = random.integers(0, 60_000, max(1, sum(lengths)))
            entry = dict.fromkeys(INDEX_DTYPE.names, 0)
            writer.add(ids, lengths, entry)
            mark = writer.mark()
            writer.add(ids, [1], entry)  # of a file found to be bad
            writer.go_back(mark)
            written.append((ids.tolist(), [0, *np.cumsum(lengths).tolist()]))
    index = read_index(folder / "index")
    chosen = np.array([keep for _, keep in documents], bool)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded, "READ_BYTES", block)
        found = [
            (d.ids.tolist(), d.bounds)
            for d in read_documents(folder / "documents", index, chosen, dtype)
        ]
    assert found == [w for w, keep in zip(written, chosen, strict=True) if keep]
