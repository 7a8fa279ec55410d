import dataclasses
import importlib.util
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.corpus.formats import FORMATS
from biobert_jax.corpus.pipeline.arguments import PrepareArguments, work_claim
from biobert_jax.corpus.text import splitters
from biobert_jax.corpus.text.sentences import split_sentences
from biobert_jax.corpus.text.splitters import LIBRARIES, load_splitter, splitter_id
from biobert_jax.corpus.text.tokenization import load_tokenizer
from biobert_jax.errors import UserError

TEXT = "Der α-Wert fiel (é).  It fell in Fig. 2 too. \n\n Next \U0001d6fc line. It ends here "


def parts(splitter, text):
    return [text[start:end] for start, end in splitter(text)]


def need(library):
    if library in LIBRARIES and importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")


def test_rules_are_the_default():
    assert load_splitter() is load_splitter("rules") is split_sentences


def test_none_keeps_the_text_whole():
    assert parts(load_splitter("none"), TEXT) == [TEXT.strip()]
    assert load_splitter("none")(" \n ") == []


@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_give_code_points(name):
    need(name)
    assert parts(load_splitter(name), TEXT) == [
        "Der α-Wert fiel (é).",
        "It fell in Fig. 2 too.",
        "Next \U0001d6fc line.",
        "It ends here",
    ]


@pytest.mark.parametrize("name", [*LIBRARIES, "none"])
@given(text=st.text() | st.text("aAZ1 \n\r.?!()[]\"'\u2028\u00a0\x00αé\ud800\U0001d6fc"))
def test_no_splitter_loses_text(name, text):
    need(name)
    end_before = 0
    for start, end in load_splitter(name)(text):
        assert end_before <= start < end
        assert not text[end_before:start].strip()
        assert text[start:end] == text[start:end].strip()
        end_before = end
    assert not text[end_before:].strip()


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_that_is_missing_is_named_with_what_to_do(name, monkeypatch):
    for module in [m for m in sys.modules if m.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    with pytest.raises(UserError, match=f"pip install {name}"):
        load_splitter(name)
    with pytest.raises(UserError, match=f"pip install {name}"):
        splitter_id(name)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module `my_splitter` with a function `split` that returns what it is given."""

    def write(returned):
        path = tmp_path / "my_splitter.py"
        path.write_text(f"def split(text):\n    return {returned}\nnumber = 1\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "my_splitter", raising=False)
        sys.dont_write_bytecode = True

    before = sys.dont_write_bytecode
    yield write
    sys.dont_write_bytecode = before
    sys.modules.pop("my_splitter", None)


def test_a_function_of_ones_own(module):
    module("[(0, 3), [4, len(text)]]")
    assert parts(load_splitter("my_splitter:split"), "Aα. Bé.") == ["Aα.", "Bé."]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("text.split()", "span 0 is 'One.'"),
        ("None", "returned NoneType"),
        ("[(0, 4), (3, 9)]", r"span 1 is \(3, 9\) where the one before ends at 4"),
        ("[(0, 99)]", r"\(0, 99\).* the text at 9"),
        ("[(2, 2)]", r"\(2, 2\)"),
        ("[(0, 4.0)]", r"span 0 is \(0, 4.0\)"),
        ("[(-4, 4)]", r"\(-4, 4\)"),
    ],
)
def test_what_a_function_returns_is_checked(module, returned, message):
    module(returned)
    splitter = load_splitter("my_splitter:split")
    with pytest.raises(UserError, match=message) as error:
        splitter("One. Two.")
    assert "my_splitter:split" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("1 + 'a'", r"raised TypeError: unsupported .* at .*my_splitter.py:2;"),
        ("int('a\\nb')", r"raised ValueError: invalid .*my_splitter.py:2"),
        ("{}['a']", "raised KeyError: 'a'"),
        ("[text * 1000]", r"span 0 is 'One\. .{,30}'; it must"),
    ],
)
def test_what_a_function_raises_is_one_short_line(module, returned, message):
    module(returned)
    with pytest.raises(UserError, match=message) as error:
        load_splitter("my_splitter:split")("One. Two.")
    assert "'my_splitter:split'" in str(error.value) and "\n" not in str(error.value)


def test_functions_without_source_are_named_and_have_ids():
    for name in ("math:floor", "builtins:abs"):
        assert splitter_id(name).startswith(f"{name} ")
        with pytest.raises(UserError, match=f"'{name}': raised TypeError: [^/]*;"):
            load_splitter(name)("One. Two.")


def test_a_module_that_cannot_be_imported_is_one_line(module):
    module("(")
    with pytest.raises(UserError, match="importing my_splitter raised SyntaxError") as error:
        load_splitter("my_splitter:split")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("punkt", "not known; take one of rules, blingfire"),
        ("", "not known"),
        ("my_splitter:", "not known"),
        ("no_such_module:split", "cannot import no_such_module"),
        ("my_splitter:join", "has no function join"),
        ("my_splitter:number", "has no function number"),
    ],
)
def test_a_name_that_is_none(module, name, message):
    module("[]")
    for function in (load_splitter, splitter_id):
        with pytest.raises(UserError, match=message):
            function(name)


def test_ids_change_with_the_version(module, monkeypatch):
    assert splitter_id("none") == "none"
    before = splitter_id("rules")
    monkeypatch.setattr(splitters, "RULES_VERSION", -1)
    assert splitter_id("rules") != before
    module("[]")
    before = splitter_id("my_splitter:split")
    assert before.startswith("my_splitter:split ") and splitter_id("my_splitter:split") == before
    module("[(0, len(text))]")
    assert splitter_id("my_splitter:split") != before


@pytest.mark.parametrize("name", LIBRARIES)
def test_ids_of_libraries_hold_their_version(name):
    need(name)
    assert splitter_id(name).startswith(f"{name} ") and splitter_id(name)[-1].isdigit()


def test_claims_change_with_the_reader_and_the_splitter(tmp_path, monkeypatch):
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")

    def claim(format, objective):
        arguments = PrepareArguments(("a.xml",), format, str(path), objective=objective)
        return work_claim(arguments, load_tokenizer(path))

    keys = [("pubmed", "mlm"), ("text", "mlm"), ("text", "mlm_nsp")]
    before = [claim(*key) for key in keys]
    newer = dataclasses.replace(FORMATS["pubmed"], version=-1)
    monkeypatch.setitem(FORMATS, "pubmed", newer)
    monkeypatch.setattr(splitters, "RULES_VERSION", -1)
    changed = [claim(*key) != old for key, old in zip(keys, before, strict=True)]
    assert changed == [True, False, True]
