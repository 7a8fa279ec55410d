"""Files written whole or not at all."""

import pytest

from biobert_jax.files import try_to_write, write_bytes_atomically


def test_what_a_killed_process_left_is_overwritten(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "a.json"
    write_bytes_atomically(path, b"old")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("biobert_jax.files.os.replace", killed)
        patch.setattr("biobert_jax.files.Path.unlink", lambda *_, **__: None)
        patch.setattr("biobert_jax.files.os.getpid", lambda: -1)
        with pytest.raises(KeyboardInterrupt):
            write_bytes_atomically(path, b"longer")
    assert path.read_bytes() == b"old" and len(list(path.parent.iterdir())) == 2
    write_bytes_atomically(path, b"new")
    assert path.read_bytes() == b"new" and list(path.parent.iterdir()) == [path]


def test_trying_to_write_leaves_nothing(tmp_path):
    (tmp_path / "file").touch()
    try_to_write(tmp_path / "new" / "deep" / "a.json")
    for path in ("file/a.json", "file/deep/a.json", "new/" + "n" * 255, "."):
        with pytest.raises(OSError):
            try_to_write(tmp_path / path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
