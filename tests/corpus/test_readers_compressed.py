import contextlib
import gzip
import os
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax import storage
from biobert_jax.corpus.documents import CorpusFileError, ReadCounts
from biobert_jax.corpus.readers import open_documents
from biobert_jax.corpus.readers.compressed import open_bytes
from biobert_jax.errors import UserError
from biobert_jax.storage import reading

# Compresses badly, so that damage anywhere in the file meets data.
TEXT = "".join(
    f"Line {i} of {i * 2654435761 % 2**32:x}\n" + "\n" * (i % 5 == 0) for i in range(4000)
)


def read(path):
    with open_bytes(path) as stream:
        return stream.read()


def write(folder, data, name="corpus.txt.gz"):
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["plain.txt", "plain.txt.gz"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_gzip_is_told_by_content_and_not_by_name(tmp_path, name, pack):
    assert read(write(tmp_path, pack(TEXT.encode()), name)) == TEXT.encode()


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(0, 3))
def test_members_of_a_gzip_file_are_joined(tmp_path_factory, parts, zeros):
    data = b"".join(map(gzip.compress, parts)) + bytes(512 * zeros)  # Tapes pad with zeros.
    assert read(write(tmp_path_factory.mktemp("gz"), data)) == b"".join(parts)


def test_bytes_are_counted_after_decompression(tmp_path):
    counts = ReadCounts()
    for _ in open_documents(write(tmp_path, gzip.compress(TEXT.encode())), "text", counts=counts):
        pass
    assert counts == ReadCounts(documents=801, empty=0, bytes=len(TEXT.encode()))


def test_truncated_gzip_yields_what_came_before_and_names_the_byte(tmp_path):
    data = gzip.compress(TEXT.encode())
    whole = list(open_documents(write(tmp_path, data), "text"))
    for length in [*range(2, 40), *range(40, len(data), len(data) // 60), *range(-9, 0)]:
        path = write(tmp_path, data[:length])
        got = []
        with pytest.raises(CorpusFileError, match="gzip data ends too early") as caught:
            got.extend(open_documents(path, "text"))
        assert got == whole[: len(got)]
        assert caught.value.path == str(path)
    assert len(got) > 700
    assert caught.value.position == f"byte {len(TEXT)}"


@settings(max_examples=300)
@given(st.data())
def test_a_flipped_bit_is_found_or_harmless(tmp_path_factory, data):
    packed = bytearray(gzip.compress(TEXT.encode()[:3000]))
    bit = data.draw(st.integers(0, 8 * len(packed) - 1))
    packed[bit // 8] ^= 1 << bit % 8
    path = write(tmp_path_factory.mktemp("flip"), bytes(packed))
    try:
        got = read(path)
    except CorpusFileError as error:
        assert "\n" not in str(error)
        return
    # Without its first two bytes it is no gzip. Time, system and padding bits carry no text.
    assert got == (bytes(packed) if bit // 8 < 2 else TEXT.encode()[:3000])


@settings(max_examples=300)
@given(st.binary(max_size=300), st.sampled_from(["text", "jsonl", "pubmed"]), st.booleans())
def test_any_bytes_are_read_or_refused(tmp_path_factory, data, format, gzipped):
    path = write(tmp_path_factory.mktemp("any"), b"\x1f\x8b\x08" + data if gzipped else data)
    with contextlib.suppress(CorpusFileError):
        for document in open_documents(path, format):
            for passage in document.passages:
                passage.encode()
                assert passage == " ".join(passage.split()) != ""


def test_files_that_cannot_be_opened(tmp_path):
    for path, reason in [(tmp_path / "absent", "No such file"), (tmp_path, "Is a directory")]:
        with pytest.raises(CorpusFileError, match=reason) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: {reason}")
    locked = write(tmp_path, b"text")
    locked.chmod(0)
    if not os.access(locked, os.R_OK):  # Root may read it all the same.
        with pytest.raises(CorpusFileError, match="Permission denied"):
            read(locked)


@pytest.mark.parametrize("head", [b"BZh91AY&SY", b"\xfd7zXZ\x00\x00", b"PK\x03\x04\x14\x00"])
def test_other_packers_are_named(tmp_path, head):
    with pytest.raises(CorpusFileError, match="(bzip2|xz|zip) file: unpack it"):
        read(write(tmp_path, head))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pipe_can_be_read(tmp_path, pack):
    source, sink = os.pipe()
    with open(sink, "wb") as stream:
        stream.write(pack(b"one\n\ntwo\n"))
    try:
        passages = [d.passages for d in open_documents(f"/dev/fd/{source}", "text")]
    finally:
        os.close(source)
    assert passages == [("one",), ("two",)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_objects(bucket, pack, monkeypatch):
    monkeypatch.setattr(reading.open_read, "__defaults__", (1000,))
    path = f"{bucket.bucket}/compressed/corpus.txt"
    storage.write_bytes(path, pack(TEXT.encode()))
    with bucket.failing(share=0.1, seed=2, faults=("reset", "cut")):
        assert read(path) == TEXT.encode()


def test_a_bucket_that_fails_is_no_fault_of_the_file(bucket):
    path = f"{bucket.bucket}/compressed/fails.txt"
    storage.write_bytes(path, b"text")
    with bucket.refusing(("/download/", 403)), pytest.raises(storage.StorageError):
        read(path)
    storage.delete(path)
    with pytest.raises(CorpusFileError, match="there is no such object"):
        read(path)
    storage.write_bytes(path, gzip.compress(TEXT.encode())[:-3])
    with pytest.raises(CorpusFileError, match="ends too early"):
        read(path)


def test_the_file_is_closed_when_a_reader_is_left_early(tmp_path):
    path = write(tmp_path, TEXT.encode())
    before = len(os.listdir("/proc/self/fd"))
    documents = open_documents(path, "text")
    next(documents)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    documents.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_unknown_format_is_refused_before_reading():
    with pytest.raises(UserError, match="'pumbed': use one of bioc, jsonl, pmc, pubmed, text"):
        open_documents("absent", "pumbed")


def test_errors_survive_pickling_out_of_a_worker():
    error = CorpusFileError("a.xml", "3:7", "broken")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.path, copy.position, copy.reason) == ("a.xml", "3:7", "broken")
    assert str(copy) == str(error) == "a.xml:3:7: broken"
    assert str(CorpusFileError("a", "byte 3", "broken")) == "a: byte 3: broken"
    assert str(CorpusFileError("a", "", "broken")) == "a: broken"
