"""Every call of a script that README and docs show is one that it takes."""

import importlib
import re
import shlex

import pytest
from pod.main import WITH_COMMAND, build_parser

from tests.tpu_scripts.conftest import ROOT, SCRIPTS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CALLS = [
    call
    for page in PAGES
    for call in re.findall(r"^tpu_scripts/\w+ .*", page.read_text(), flags=re.M)
]


@pytest.mark.parametrize("call", CALLS)
def test_it_parses(call):
    script, *words = shlex.split(call)
    verb = script.removeprefix("tpu_scripts/")
    if "--" in words:
        assert verb in WITH_COMMAND
        words = words[: words.index("--")]
    build_parser(verb, importlib.import_module(f"pod.{verb}")).parse_args(words)


def test_every_script_is_shown():
    scripts = {path.name for path in SCRIPTS.iterdir() if path.is_file() and not path.suffix}
    assert {call.split()[0].removeprefix("tpu_scripts/") for call in CALLS} == scripts
    assert all((SCRIPTS / name).stat().st_mode & 0o111 for name in scripts)
