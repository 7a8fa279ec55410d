"""Plain files cut into ranges of bytes: the shares add up to the file, ids and lines included."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.corpus.documents import CorpusFileError, ReadCounts
from biobert_jax.corpus.pipeline import cuts, tasks
from biobert_jax.corpus.pipeline.cuts import byte_shares
from biobert_jax.corpus.pipeline.tasks import count_task, plan_tasks, with_numbers
from biobert_jax.corpus.readers import open_documents

LINES = st.sampled_from(
    ["One.", "Two words.", "", "", " \t", "\u3000", "\xa0x", "\r", "x\ry", "\x1c", "{brace}", "é"]
)


def planned(path, format, parts):
    size = path.stat().st_size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "TASK_BYTES", max(1, size // parts))
        patch.setattr(cuts, "_CHUNK_BYTES", 7)
        plan = plan_tasks([str(path)], [size], format)
    return with_numbers(plan, [count_task(task) for task in plan if task.share.stop is not None])


def read(path, format, share=None):
    counts = ReadCounts()
    arguments = {} if share is None else {"share": share}
    documents = list(open_documents(path, format, counts=counts, **arguments))
    return documents, counts


def check_sum(path, format, parts):
    expected, whole = read(path, format)
    found, total, failed = [], 0, {}
    plan = planned(path, format, parts)
    for task in plan:
        documents, counts = read(path, format, task.share)
        found += documents
        failed |= counts.failed
        total += counts.bytes
    assert (found, failed) == (expected, whole.failed)
    if plan[0].share.stop is not None:
        assert total == path.stat().st_size  # no byte is read twice
        assert [t.bytes for t in plan] == [t.share.stop - t.share.start for t in plan]
    return plan


@settings(max_examples=60)
@given(st.lists(LINES, max_size=60), st.sampled_from(["\n", "\r\n"]), st.integers(1, 12))
def test_shares_of_text_are_whole_documents(tmp_path_factory, lines, end, parts):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(("\ufeff" * (parts % 2) + end.join(lines)).encode())
    check_sum(path, "text", parts)


RECORDS = st.sampled_from(
    ['{"text": "a"}', '{"text": "b", "id": 7}', "", '{"text": ""}', '{"text": 3}', " ", "\u3000"]
)


@settings(max_examples=60)
@given(st.lists(RECORDS, max_size=60), st.sampled_from(["\n", "\r\n"]), st.integers(1, 12))
def test_shares_of_json_lines_add_up(tmp_path_factory, lines, end, parts):
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    path.write_bytes(end.join([*lines, '{"text": "the last"}']).encode())
    check_sum(path, "jsonl", parts)


def test_a_large_file_is_cut_into_as_many_shares_as_it_takes(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(f"Document {n}.\nIt ends.\n\n" for n in range(500)))
    plan = check_sum(path, "text", 20)
    assert 18 <= len(plan) <= 21 and max(t.bytes for t in plan) < 2 * min(t.bytes for t in plan)
    assert plan == planned(path, "text", 20)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": f"Document {n}."}) + "\n" for n in range(500)))
    assert len(check_sum(path, "jsonl", 30)) > tasks.MAX_SHARES


def test_one_document_is_one_share(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("A line.\n" * 500)
    (share,) = {task.share.stop for task in check_sum(path, "text", 20)}
    assert share is None


def test_a_bad_line_has_its_number_in_any_share(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"A line.\n\n" * 200 + b"caf\xe9\n")
    last = planned(path, "text", 10)[-1]
    with pytest.raises(CorpusFileError, match=r"a.txt:401: not UTF-8 at byte 1803 "):
        read(path, "text", last.share)


@pytest.mark.parametrize("format", ["text", "jsonl"])
def test_what_cannot_be_cut_is_shared_out_by_records(tmp_path, format):
    data = b'{"text": "a"}\n\n' * 400
    for name, content in {
        "packed": gzip.compress(data, 0),
        "macintosh": data.replace(b"\n", b"\r"),
    }.items():
        (tmp_path / name).write_bytes(content)
        plan = planned(tmp_path / name, format, 20)
        assert [(t.share.num_parts, t.share.stop) for t in plan] == [(8, None)] * 8
    (tmp_path / "plain").write_bytes(data)
    assert not byte_shares(str(tmp_path / "plain"), len(data), 20, "pubmed")
    assert not byte_shares(str(tmp_path / "absent"), 1 << 30, 20, format)


def test_files_between_others_keep_their_order(tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path in paths:
        path.write_text("One.\n\n" * 100)
    sizes = [path.stat().st_size for path in paths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "TASK_BYTES", 200)
        plan = plan_tasks(list(map(str, paths)), sizes, "text")
    plan = with_numbers(plan, list(map(count_task, plan)))
    assert [t.index for t in plan] == list(range(len(plan)))
    assert [t.paths[0] for t in plan if t.share.part == 0] == list(map(str, paths))
    assert all(t.share.lines == 2 * t.share.documents for t in plan)
    ids = [d.id for t in plan for d in open_documents(t.paths[0], "text", share=t.share)]
    assert ids == [f"{path.name}:{n}" for path in paths for n in range(1, 101)]
