"""What readers say of files is told once, and not without end."""

import pytest

from biobert_jax.errors import UserError
from biobert_jax.formats.faults import Lines, left_out, refuse


def test_a_line_is_told_once_however_often_its_file_is_read():
    lines = Lines()
    for _ in range(2):
        for path in ("a", "b"):
            lines.of(path)(f"{path}:1", "odd")
    assert lines.shown() == ["a:1: odd", "b:1: odd"]


def test_of_many_lines_of_a_file_the_first_are_told():
    lines = Lines()
    for number in range(1207):
        lines.of("a")(f"a:{number}", "odd")
    lines.of("b")("b:9", "odd")
    shown = lines.shown()
    assert shown[:5] == [f"a:{n}: odd" for n in range(5)]
    assert shown[5:] == ["a: 1,202 more such", "b:9: odd"]


def test_what_is_left_out_is_counted_by_kind():
    assert left_out(["yesno", "list", "yesno"], "question") == "1 list, 2 yesno questions: left out"
    assert left_out(["list"], "question") == "1 list question: left out"


def test_a_fault_is_an_error_where_nobody_takes_it():
    with pytest.raises(UserError, match=r"^x\.tsv:3: no word$"):
        refuse("x.tsv:3", "no word")
