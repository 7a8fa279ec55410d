"""A run's metrics in numbered parts, whatever the order in which they are written and cut."""

from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.training.mirror import join, next_part

LINES = st.lists(st.integers(0, 20).map(lambda n: b'{"step": %d}\n' % n), max_size=12)


@given(st.lists(LINES, max_size=8))
def test_parts_come_to_what_was_written_last(versions):
    parts, there = {}, b""
    for number, lines in enumerate(versions):
        content = b"".join(lines)
        name, own = next_part(number, there, content)
        assert name not in parts
        parts[name], there = own, content
        assert join(parts) == content


def test_what_is_appended_is_all_that_is_sent():
    name, own = next_part(7, b"a\nb\n", b"a\nb\nc\n")
    assert (name, own) == ("00000007-000000000004", b"c\n")
    name, own = next_part(8, b"a\nb\nc\n", b"a\n")
    assert (name, own) == ("00000008-000000000002", b"")
