"""Files and folders written whole or not at all."""

import errno
import os
import stat

import pytest

from biobert_jax.files import (
    is_special,
    is_stream,
    new_folder,
    replacing,
    try_to_write,
    write_bytes_atomically,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_when_its_block_ends(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    for text in ("old", "naïve"):
        with replacing(path, "w") as stream:
            stream.write(text)
            assert not path.exists() or path.read_text() == "old"
    assert path.read_text(encoding="utf-8") == "naïve" and names(path.parent) == ["a.txt"]


def test_an_error_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and names(tmp_path) == ["a"]


def test_what_a_killed_process_left_is_overwritten(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "a.json"
    write_bytes_atomically(path, b"old")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("biobert_jax.files.os.replace", killed)
        patch.setattr("biobert_jax.files.Path.unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            write_bytes_atomically(path, b"longer")
    assert path.read_bytes() == b"old" and len(names(path.parent)) == 2
    write_bytes_atomically(path, b"new")
    assert path.read_bytes() == b"new" and names(path.parent) == ["a.json"]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_rights_are_as_umask_says(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_bytes_atomically(tmp_path / "a", b"")
        with new_folder(tmp_path / "b"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o777 & ~umask


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "a"
    with replacing(path) as stream:
        stream.write(b"first")
        with pytest.raises(OSError, match="another process is writing it") as caught:
            write_bytes_atomically(path, b"second")
        assert caught.value.filename == str(path)
    assert path.read_bytes() == b"first" and names(tmp_path) == ["a"]


def test_what_the_next_writer_has_begun_is_left_alone(tmp_path, monkeypatch):
    def begin(folder):
        (folder / ".a.tmp").touch()

    monkeypatch.setattr("biobert_jax.files._flush", begin)  # after the renaming
    write_bytes_atomically(tmp_path / "a", b"")
    assert names(tmp_path) == [".a.tmp", "a"]


def test_errors_name_the_file_that_was_asked_for(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("biobert_jax.files.os.fsync", full)
        with pytest.raises(OSError) as caught:
            write_bytes_atomically(tmp_path / "a", b"")
    assert caught.value.filename == str(tmp_path / "a") and not names(tmp_path)
    long = "n" * 253  # too long with the dots of the temporary name only
    with pytest.raises(OSError) as caught:
        write_bytes_atomically(tmp_path / long, b"")
    assert caught.value.filename == str(tmp_path / long)


def test_a_link_is_followed_and_a_pipe_is_no_file(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_bytes_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"
    read, write = os.pipe()
    with replacing(f"/dev/fd/{write}", "w") as stream:
        stream.write("to a pipe")
    os.close(write)
    with open(read) as stream:
        assert stream.read() == "to a pipe"


def test_what_can_be_neither_replaced_nor_read_twice(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("pipe")
    names = ("pipe", "link", "file", ".", "none", "a\0b", "x" * 300, "file/below")
    paths = [tmp_path / name for name in names]
    assert [*map(is_special, paths)] == [*map(is_stream, paths)] == [True, True, *[False] * 6]
    assert is_special("/dev/null") and not is_stream("gs://bucket/x")
    # What the shell opened is a stream, even where it is a file that could be read again.
    with open(tmp_path / "file") as stream:
        path = f"/dev/fd/{stream.fileno()}"
        assert is_stream(path) and not is_special(path)


def test_a_new_folder_is_there_when_it_is_whole(tmp_path):
    (tmp_path / ".a.tmp").mkdir()
    (tmp_path / ".a.tmp" / "left").touch()
    with pytest.raises(ValueError), new_folder(tmp_path / "a") as folder:
        (folder / "half").touch()
        raise ValueError
    assert not names(tmp_path)
    with new_folder(tmp_path / "a") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").touch()
        assert names(tmp_path) == [".a.tmp"]
    assert names(tmp_path) == ["a"] and names(tmp_path / "a" / "deep") == ["file"]
    with pytest.raises(OSError) as caught, new_folder(tmp_path / "a"):
        pass
    assert caught.value.filename == str(tmp_path / "a") and names(tmp_path) == ["a"]
    with pytest.raises(OSError) as caught, new_folder(tmp_path / "b") as folder:
        (folder / "no" / "file").touch()
    assert caught.value.filename == str(tmp_path / "b" / "no" / "file")


def test_two_writers_of_one_folder_do_not_mix(tmp_path):
    with new_folder(tmp_path / "a") as folder:
        (folder / "first").touch()
        with pytest.raises(OSError, match="another process is writing it") as caught:
            with new_folder(tmp_path / "a"):
                pass
        assert caught.value.filename == str(tmp_path / "a")
    assert names(tmp_path) == ["a"] and names(tmp_path / "a") == ["first"]


def test_trying_to_write_leaves_nothing(tmp_path):
    (tmp_path / "file").touch()
    try_to_write(tmp_path / "new" / "deep" / "a.json")
    for path in ("file/a.json", "file/deep/a.json", "new/" + "n" * 255, "."):
        with pytest.raises(OSError):
            try_to_write(tmp_path / path)
    assert names(tmp_path) == ["file"]
