"""README and docs: every command is one that biobert takes, every link leads somewhere.

Every verb's help and every experiment's heading are held to the same.
"""

import ast
import re
import shlex
from pathlib import Path

import pytest

from biobert_jax import cli
from biobert_jax.commands.config_file import experiment_class, experiments, load_config

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(text: str) -> list[str]:
    """The lines that begin with `biobert`, joined where they go on, without a remark behind."""
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    lines = [re.split(r" {3,}", line.strip())[0] for line in lines]
    return [line for line in lines if re.match(r"biobert [a-z]+ ", line)]


def cases():
    texts = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
    texts |= {f"biobert {name} --help": module.__doc__ for name, module in cli.VERBS.items()}
    texts |= {
        str(path.relative_to(ROOT)): ast.get_docstring(ast.parse(path.read_text()))
        for path in experiments().values()
    }
    for where, text in texts.items():
        for command in commands(text):
            yield pytest.param(command, id=f"{where}: {command[:60]}")


def shown(command: str) -> list[str]:
    """The command's words, without what stands for more of them."""
    words = shlex.split(re.sub(r"\[(.*?)\]", r"\1", command))
    return [word for word in words if word not in ("…", "...")]


@pytest.mark.parametrize("command", cases())
def test_every_command_shown_is_one(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = shown(command)
    if "…" in command or "..." in command:
        # What is left out is shown elsewhere; the options that are there must exist.
        verb = cli.build_parser().verbs[words[1]]
        verb.refuse_unknown_options(words[2 : words.index("--") if "--" in words else None])
        return
    args = cli.parse(words[1:])
    assert args.verb == words[1]
    if getattr(args, "workdir", None) or args.verb == "compile":
        load_config(args, experiment_class(args.config))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    missing = [x for x in links if "://" not in x and not (page.parent / x).exists()]
    assert not missing


def test_each_folder_imports_only_from_those_above_it():
    [layout] = re.findall(r"^biobert_jax/\n((?:  \w+/.*\n)+)", PAGES[0].read_text(), re.MULTILINE)
    folders = re.findall(r"^  (\w+)/", layout, re.MULTILINE)
    package = ROOT / "biobert_jax"
    assert sorted(folders) == sorted(path.parent.name for path in package.glob("*/__init__.py"))
    upward = []
    for path in package.glob("*/**/*.py"):
        own = folders.index(path.relative_to(package).parts[0])
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in [name.split(".")[1] for name in names if name.startswith("biobert_jax.")]:
                if name in folders and folders.index(name) > own:
                    upward.append(f"{path.relative_to(ROOT)} imports {name}")
    assert upward == []


def test_the_examples_are_found():
    assert len(list(cases())) > 40
    assert {name for page in PAGES for name in _verbs(page)} == set(cli.VERBS)


def _verbs(page: Path) -> list[str]:
    return [command.split()[1] for command in commands(page.read_text())]
