"""JSON objects in files: one way to read them."""

import pytest

from biobert_jax.errors import UserError
from biobert_jax.json_fields import read_object, read_optional_object


def test_a_byte_order_mark_is_tolerated(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": "\u03b2"}', encoding="utf-8-sig")
    assert read_object(path) == read_optional_object(path) == {"a": "\u03b2"}


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"{", "not JSON: Expecting property name"),
        (b'{"a": "caf\xe9"}', "not JSON: 'utf-8' codec"),
        (b"[" * 200_000, "not JSON: nested too deep"),
        (b"[1]", "not a JSON object but a list"),
    ],
)
def test_what_is_no_object_is_named_with_its_reason(tmp_path, content, reason):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{reason}"):
        read_object(path)
    with pytest.raises(UserError, match=f"a.json: {reason}.*: remove it$"):
        read_optional_object(path, "remove it")


def test_a_file_need_not_be_there_but_must_be_a_file(tmp_path):
    assert read_optional_object(tmp_path / "none.json") is None
    with pytest.raises(FileNotFoundError):
        read_object(tmp_path / "none.json")
    with pytest.raises(UserError, match="Is a directory$"):
        read_optional_object(tmp_path)
