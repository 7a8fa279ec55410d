"""--input, in every verb that has it."""

import dataclasses

import pytest

from biobert_jax import cli
from biobert_jax.commands.field_options import field_values
from biobert_jax.commands.input_options import read_options
from biobert_jax.corpus.documents import ReadOptions
from biobert_jax.corpus.formats import FORMATS
from biobert_jax.corpus.pipeline.arguments import PrepareArguments
from biobert_jax.corpus.readers import READERS
from biobert_jax.errors import UserError

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


def test_the_command_line_and_python_have_one_set_of_defaults():
    words = ["prepare", "--input", "a", "--format", "text", "--vocab", "v", "--output", "o"]
    args = cli.build_parser().parse_args(words)
    assert read_options(args) == ReadOptions()
    made = PrepareArguments(("a",), "text", "v", **field_values(args, PrepareArguments))
    assert made == PrepareArguments(("a",), "text", "v")
    assert made.objective == "mlm" and made.held_out == 0.01
    args = cli.build_parser().parse_args([*words, "--record_format", "bert", "--held_out", "0"])
    arguments = PrepareArguments(("a",), "text", "v", **field_values(args, PrepareArguments))
    assert (arguments.objective, arguments.held_out) == ("mlm_nsp", 0.0)


def test_options_of_every_kind():
    words = ["vocab", "--input", "a", "--format", "pmc", "--output", "o", "--no-titles"]
    words += ["--captions", "--licenses", " CC0, CC BY,", "--years", "1990-"]
    options = read_options(cli.build_parser().parse_args(words))
    licenses = ("CC0", "CC BY")
    assert options == ReadOptions(titles=False, captions=True, licenses=licenses, first_year=1990)


@pytest.mark.parametrize("name", ["objective", "record_format", "duplicates", "on_error"])
def test_choices_are_checked_in_python_too(name):
    with pytest.raises(UserError, match=f"--{name} x: use one of "):
        PrepareArguments(("a",), "text", "v", **{name: "x"})


def test_the_formats_have_readers_and_options_that_exist():
    fields = {field.name for field in dataclasses.fields(ReadOptions)}
    for name, format in FORMATS.items():
        assert callable(READERS[name]) and format.heeded <= fields
        assert all(suffix.startswith(".") for suffix in format.suffixes)


def test_two_inputs_are_both_read(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"{name} {name}{name}\n" * 40)
    inputs = [word for name in ("a", "b") for word in ("--input", str(tmp_path / name))]
    output = tmp_path / "vocab.txt"
    command = ["vocab", *inputs, "--format", "text", "--held_out", "0", "--output", str(output)]
    assert cli.main([*command, "--size", "300"]) == 0
    assert "in 2 of 2 files" in capsys.readouterr().err
    assert {"aa", "bb"} <= set(output.read_text().split())
