"""--input, in every verb that has it."""

import pytest

from biobert_jax import cli

VERBS = {
    "prepare": ["--format", "text", "--vocab", "v", "--output", "out"],
    "vocab": ["--format", "text", "--output", "out"],
    "predict": ["--checkpoint", "c"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_input_given_is_kept(verb):
    words = [verb, "--input", "a", *VERBS[verb], "--input", "b,c"]
    assert cli.build_parser().parse_args(words).input == ["a", "b,c"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_pattern_that_the_shell_expanded_wants_quotes(verb, capsys):
    assert cli.main([verb, "--input", "p/a.txt", "p/b.txt", "p/c.txt", *VERBS[verb]]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "several files after --input (p/b.txt, ...)" in line and "in quotes" in line


def test_two_inputs_are_both_read(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"{name} {name}{name}\n" * 40)
    inputs = [word for name in ("a", "b") for word in ("--input", str(tmp_path / name))]
    output = tmp_path / "vocab.txt"
    command = ["vocab", *inputs, "--format", "text", "--held_out", "0", "--output", str(output)]
    assert cli.main([*command, "--size", "300"]) == 0
    assert "in 2 of 2 files" in capsys.readouterr().err
    assert {"aa", "bb"} <= set(output.read_text().split())
