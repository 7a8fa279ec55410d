"""No verb writes over what it reads, nor begins where it could not end."""

import pytest

from biobert_jax import cli
from biobert_jax.commands.output_options import check_output, is_same_file
from biobert_jax.errors import UserError


def test_a_file_is_known_by_any_name(tmp_path):
    path = tmp_path / "a"
    path.touch()
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "dangling").symlink_to(tmp_path / "new")
    assert is_same_file(path, f"{tmp_path}/./a") and is_same_file(path, tmp_path / "link")
    assert is_same_file(tmp_path / "new", tmp_path / "dangling")
    assert not is_same_file(path, tmp_path / "new")


def test_outputs_are_looked_at(tmp_path):
    (tmp_path / "a").touch()
    check_output("--output", tmp_path / "deep/new", [tmp_path / "a", tmp_path / "absent"])
    with pytest.raises(UserError, match="--json .*a is an input, which it would replace"):
        check_output("--json", tmp_path / "a", [tmp_path / "a"])
    for name in (".", "a/b", "x" * 300):
        with pytest.raises(UserError, match="--output .* cannot be written"):
            check_output("--output", tmp_path / name, [])
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_report_never_replaces_what_a_run_left(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"seed": 0}')
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    for name in ("config.json", "metrics.jsonl"):
        content = (tmp_path / name).read_bytes()
        assert cli.main(["report", str(tmp_path), "--output", str(tmp_path / name)]) == 1
        assert "is an input, which it would replace" in capsys.readouterr().err
        assert (tmp_path / name).read_bytes() == content


def test_figures_never_replace_the_config(tmp_path, capsys):
    path = tmp_path / "config.py"
    path.write_text("from ml_collections import ConfigDict\n\n\ndef get_config(preset=''):\n")
    path.write_text(path.read_text() + "    return ConfigDict()\n")
    command = ["compile", "--topology", "v5e:2x2", "--json", str(path), "--config"]
    for config in (str(path), f"{path}:x"):
        assert cli.main([*command, config]) == 1
        assert "is an input, which it would replace" in capsys.readouterr().err
