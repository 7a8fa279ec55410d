import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.corpus.documents import CorpusFileError
from biobert_jax.corpus.readers import lines as module
from biobert_jax.corpus.readers.lines import (
    BadLine,
    lines_and_faults,
    read_lines,
    read_text,
)
from biobert_jax.corpus.readers.sniff import Expected


def write(folder, data, name="corpus.txt.gz"):
    path = folder / name
    path.write_bytes(data)
    return path


@given(st.lists(st.text().map(lambda s: s.replace("\n", "")), min_size=1), st.booleans())
def test_lines_end_at_newlines_only(tmp_path_factory, lines, windows):
    # Any line may hold \r, \f, \x85 or U+2028; a \r at its end belongs to the line end.
    lines = [line.rstrip("\r").removeprefix("\ufeff") for line in lines]
    text = ("\r\n" if windows else "\n").join([*lines, ""])
    path = write(tmp_path_factory.mktemp("lines"), text.encode())
    assert [line for _, line in read_lines(path)] == lines
    assert read_text(path) == text.removeprefix("\ufeff")


@given(st.lists(st.text("ab\x85\u2028 "), min_size=2))
def test_a_carriage_return_alone_ends_lines_where_nothing_else_does(tmp_path_factory, lines):
    path = write(tmp_path_factory.mktemp("lines"), "\r".join(lines).encode())
    assert [line for _, line in read_lines(path)] == (lines if lines[-1] else lines[:-1])


def test_byte_order_mark_is_dropped_once(tmp_path):
    path = write(tmp_path, "\ufeffone\n\ufefftwo".encode())
    assert list(read_lines(path)) == [(1, "one"), (2, "\ufefftwo")]
    assert read_text(path) == "one\n\ufefftwo"


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_other_encodings_are_refused_with_the_place(tmp_path, encoding):
    path = write(
        tmp_path, ("" if encoding == "utf-16" else "abc\n").encode() + "dé\n".encode(encoding)
    )
    line, byte = (1, 0) if encoding == "utf-16" else (2, 5)
    for read in (lambda p: list(read_lines(p)), read_text):
        with pytest.raises(CorpusFileError, match=f"iconv -f {encoding} -t utf-8") as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}:{line}: not UTF-8 at byte {byte} of the text:")


def test_a_binary_file_is_not_to_be_converted(tmp_path):
    with pytest.raises(CorpusFileError, match="binary file"):
        read_text(write(tmp_path, b"\0\1\2\xff\xfe" * 9))


def test_a_line_beyond_bounds_is_passed_over_and_the_next_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_RECORD_BYTES", 8)
    monkeypatch.setattr(module, "_SKIP_BYTES", 3)
    lines = ["1234567", "12345678", "123456789", "x" * 40, "é", "1234567890"]
    path = write(tmp_path, gzip.compress("\n".join(lines).encode()))
    found = list(lines_and_faults(path))
    bad = BadLine("a line of more than 0 MiB", True)
    # The line feed is counted.
    assert found == [(1, lines[0]), (2, bad), (3, bad), (4, bad), (5, "é"), (6, bad)]
    with pytest.raises(CorpusFileError, match=":2: a line of more than"):
        list(read_lines(path))
    with pytest.raises(CorpusFileError, match="a text of more than 0 MiB: cut it"):
        read_text(path, max_bytes=20)


def test_an_endless_line_takes_bounded_memory(monkeypatch):
    read = 0

    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            nonlocal read
            size = min(len(buffer), (1 << 28) - read)
            buffer[:size] = bytes(size)
            read += size
            return size

    import tracemalloc

    stream = io.BufferedReader(Endless())
    tracemalloc.start()
    assert module._skip_line(stream) == 1 << 28
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_what_is_plainly_of_another_format_is_refused(tmp_path):
    path = write(tmp_path, gzip.compress(b"%PDF-1.7\n%\xe2\xe3\n"))
    for expected in (Expected("text"), Expected("conll", option="", formats=())):
        with pytest.raises(CorpusFileError, match=r"a PDF: extract its text first \(pdftotext\)"):
            read_text(path, expected=expected)
