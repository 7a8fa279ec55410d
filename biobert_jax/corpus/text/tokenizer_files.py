"""What the files beside a vocabulary say of its use: cased or not, accents, added tokens.

They are transformers' `tokenizer_config.json` and `tokenizer.json`, or the manifest of a data set
or checkpoint of ours. What they say is compared with each other and with the vocabulary itself: a
cased vocabulary on lower-cased text, or the reverse, is an error that no later step would notice.
"""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biobert_jax import storage
from biobert_jax.errors import UserError
from biobert_jax.json_fields import read_object, read_optional_object

SPECIAL_NAMES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONFIG, FAST = "tokenizer_config.json", "tokenizer.json"
# Of the pieces with letters, those with a capital: published cased vocabularies have 17 to 31 %,
# small ones of `biobert vocab` 7 % or more, and uncased ones up to 0.5 % (SciBERT's: Γ, Ω, ##TM).
# What lies between is nobody's to guess.
MOST_CAPITALS_UNCASED = 0.01
LEAST_CAPITALS_CASED = 0.04
_MANIFESTS = ("manifest.json", "arrays.json")
_VOCABULARIES = ("vocab.txt", "vocab.model", FAST)
_BESIDE = (CONFIG, "added_tokens.json", *_MANIFESTS)
_FLAGS = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")


@dataclass(frozen=True)
class AddedToken:
    """A token that is looked for in the text before it is split into words.

    Attributes:
      normalized: looked for in the normalised text: in any case, where the text is lower-cased.
      single_word: not inside a word.
    """

    content: str
    normalized: bool = True
    single_word: bool = False
    special: bool = False


@dataclass(frozen=True)
class TokenizerOptions:
    """How text is normalised before it is cut into pieces; names as in `tokenizer_config.json`.

    `added_tokens` stand in the vocabulary like any other token.
    """

    do_lower_case: bool
    strip_accents: bool
    tokenize_chinese_chars: bool = True
    added_tokens: tuple[AddedToken, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As manifests hold it; `from_dict` is the inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TokenizerOptions":
        """From the `tokenizer` of a manifest. Raises ValueError where it has no such options."""
        for name in _FLAGS:
            if type(values.get(name)) is not bool:
                raise ValueError(f"tokenizer.{name} is {values.get(name)!r}, not true or false")
        try:
            added = tuple(AddedToken(**token) for token in values["added_tokens"])
        except (KeyError, TypeError) as error:
            raise ValueError("tokenizer.added_tokens is no list of added tokens") from error
        for token in added:
            kinds = [type(value) for value in dataclasses.astuple(token)]
            if kinds != [str, bool, bool, bool]:
                raise ValueError(f"tokenizer.added_tokens: {token.content!r} is no added token")
        return cls(*(values[name] for name in _FLAGS), added)

    def describe(self) -> str:
        """For messages."""
        added = f", {len(self.added_tokens)} added tokens" if self.added_tokens else ""
        return (
            f"do_lower_case {self.do_lower_case}, strip_accents {self.strip_accents}, "
            f"tokenize_chinese_chars {self.tokenize_chinese_chars}{added}"
        ).lower()


def read_tokenizer_files(
    vocab: Path, tokens: Sequence[str] | None, do_lower_case: bool | None = None
) -> tuple[list[str], TokenizerOptions]:
    """The tokens of a WordPiece vocabulary by id, and how it is used.

    Args:
      vocab: a `vocab.txt` whose lines are `tokens`, or a `tokenizer.json` with `tokens` None.
        The files beside it count where it has its usual name.
      do_lower_case: what the user says, whatever the files say; None: they and the tokens decide.

    Raises:
      UserError: files that contradict each other or the vocabulary; neither says whether it is
        cased; a tokenizer other than BERT's.
    """
    is_standard = vocab.name in ("vocab.txt", FAST)
    fast = _read_fast(vocab.with_name(FAST)) if is_standard else {}
    config = _read_config(vocab.with_name(CONFIG)) if is_standard else {}
    if tokens is None:
        tokens = fast["tokens"]
    base = tokens[: len(fast["tokens"])] if fast else tokens
    if fast and list(base) != fast["tokens"]:
        raise UserError(
            f"{vocab}: another vocabulary than in {FAST} beside it "
            f"({_first_difference(base, fast['tokens'])}): remove the file that is wrong"
        )
    added = {**config.get("added", {}), **fast.get("added", {})}
    if is_standard:
        added = {**_read_added(vocab.with_name("added_tokens.json")), **added}
    tokens = _with_added(vocab, list(tokens), added)
    of_text = tuple(token for _, token in sorted(added.items()) if token.content not in _SPECIAL)
    kept = kept_options(vocab)
    if kept is not None and do_lower_case is None:
        return tokens, kept
    flags = _agreed(vocab, config, fast)
    lower = flags.get("do_lower_case")
    if do_lower_case is not None:
        lower = do_lower_case
    else:
        lower = decide_case(tokens, vocab, lower, flags.get("source", ""))
    accents = flags.get("strip_accents") if do_lower_case is None else None
    return tokens, TokenizerOptions(
        lower,
        lower if accents is None else accents,
        flags.get("tokenize_chinese_chars", True),
        of_text,
    )


@contextlib.contextmanager
def local_vocabulary(path: str) -> Iterator[str]:
    """A vocabulary on this machine: of one in a bucket a copy, with the files beside it that count.

    Args:
      path: as `load_tokenizer` takes it: a file, or a folder that holds one.

    Raises:
      StorageError: it cannot be read.
    """
    if not storage.is_remote(path):
        yield path
        return
    is_file = storage.exists(path)
    folder = path.rpartition("/")[0] if is_file else path
    with tempfile.TemporaryDirectory(prefix="biobert-") as copy:
        for found in storage.list_folder(folder, recursive=False):
            if found.path == path or found.name in _VOCABULARIES + _BESIDE:
                storage.download(found.path, Path(copy, found.name))
        yield str(Path(copy, path.rpartition("/")[2]) if is_file else copy)


def capitals(tokens: Sequence[str]) -> tuple[int, int]:
    """Pieces with a capital letter, and pieces with letters that have one; no [special] ones."""
    words = [t for t in tokens if not (t.startswith("[") and t.endswith("]"))]
    letters = [t for t in words if t.lower() != t or t.upper() != t]
    return sum(t != t.lower() for t in letters), len(letters)


def decide_case(
    tokens: Sequence[str], vocab: Path, do_lower_case: bool | None = None, source: str = ""
) -> bool:
    """Whether text is lower-cased for a vocabulary.

    Args:
      do_lower_case: what the file `source` says; None: nothing does.

    Raises:
      UserError: the pieces show the contrary; or nothing is said, and they do not show it.
    """
    upper, letters = capitals(tokens)
    share = upper / letters if letters else 0.0
    found = f"{upper:,} of {letters:,} pieces with letters have capitals"
    clear = None
    if share < MOST_CAPITALS_UNCASED:
        clear = True
    elif share >= LEAST_CAPITALS_CASED:
        clear = False
    if do_lower_case is None:
        if clear is None:
            raise UserError(
                f"{vocab}: cased or not? {found}: say so in a {CONFIG} beside it, with "
                '{"do_lower_case": true} or false (`biobert prepare` has --do_lower_case)'
            )
        return clear
    if letters and clear is (not do_lower_case):
        kind = "uncased" if clear else "cased"
        raise UserError(
            f"{source}: do_lower_case is {str(do_lower_case).lower()}, but {vocab.name} is {kind} "
            f"({found}): correct the one that is wrong"
        )
    return do_lower_case


_SPECIAL = frozenset(SPECIAL_NAMES)


def _read_config(path: Path) -> dict[str, Any]:
    """What a tokenizer_config.json says: flags that it has, and `added` tokens by id."""
    values = read_optional_object(path)
    if values is None:
        return {}
    kind = values.get("tokenizer_class") or ""
    if "Japanese" in str(kind) or values.get("do_basic_tokenize") is False:
        what = f"tokenizer_class {kind}" if "Japanese" in str(kind) else "do_basic_tokenize false"
        raise UserError(f"{path}: {what}: only BERT's own tokenizer is known here")
    flags = {name: _flag(path, values, name) for name in _FLAGS if values.get(name) is not None}
    added = values.get("added_tokens_decoder") or {}
    try:
        tokens = {int(index): _added_token(token) for index, token in added.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(f"{path}: added_tokens_decoder: an id and a token were expected") from None
    return flags | {"added": tokens, "source": str(path)}


def _read_fast(path: Path) -> dict[str, Any]:
    """What a tokenizer.json says: flags, `tokens` in the order of ids, `added` tokens by id."""
    values = read_optional_object(path)
    if values is None:
        return {}
    try:
        model, normalizer = values["model"], values.get("normalizer") or {}
        split = (values.get("pre_tokenizer") or {}).get("type")
        kind = model.get("type", "WordPiece" if "continuing_subword_prefix" in model else "?")
        ids = model.get("vocab")
        added = {int(t["id"]): _added_token(t) for t in values.get("added_tokens") or ()}
        for found, expected, what in (
            (kind, "WordPiece", "model"),
            (normalizer.get("type"), "BertNormalizer", "normalizer"),
            (split, "BertPreTokenizer", "pre_tokenizer"),
            (model.get("continuing_subword_prefix"), "##", "continuing_subword_prefix"),
            (normalizer.get("clean_text", True), True, "clean_text"),
        ):
            if found != expected:
                raise UserError(
                    f"{path}: {what} is {found!r}, not {expected!r}: only BERT's own tokenizer is "
                    "known here"
                )
        if sorted(ids.values()) != list(range(len(ids))):
            raise UserError(f"{path}: the ids of its vocabulary are not 0 to {len(ids) - 1:,}")
        flags = {
            "do_lower_case": _flag(path, normalizer, "lowercase"),
            "tokenize_chinese_chars": _flag(path, normalizer, "handle_chinese_chars"),
        }
        if normalizer.get("strip_accents") is not None:
            flags["strip_accents"] = _flag(path, normalizer, "strip_accents")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a tokenizer of transformers ({error!r})") from error
    return flags | {"tokens": sorted(ids, key=ids.__getitem__), "added": added}


def _read_added(path: Path) -> dict[int, AddedToken]:
    """The older `added_tokens.json`: ids by token."""
    values = read_optional_object(path) or {}
    if not all(isinstance(index, int) for index in values.values()):
        raise UserError(f"{path}: an id was expected for each token")
    return {index: AddedToken(token) for token, index in values.items()}


def _added_token(values: dict[str, Any]) -> AddedToken:
    """Raises AttributeError, KeyError or TypeError where `values` are no such token."""
    if not isinstance(values["content"], str):
        raise TypeError("content is no string")
    special = bool(values.get("special", False))
    return AddedToken(
        values["content"],
        bool(values.get("normalized", not special)),
        bool(values.get("single_word", False)),
        special,
    )


def _with_added(vocab: Path, tokens: list[str], added: dict[int, AddedToken]) -> list[str]:
    """The vocabulary with added tokens at the ids that the files give them."""
    for index, token in sorted(added.items()):
        if index == len(tokens):
            tokens.append(token.content)
        elif not 0 <= index < len(tokens) or tokens[index] != token.content:
            there = tokens[index] if 0 <= index < len(tokens) else "beyond the vocabulary's end"
            raise UserError(
                f"{vocab}: the added token {token.content!r} has the id {index}, which is {there}: "
                "the folder's tokenizer files do not belong together"
            )
    return tokens


def _agreed(vocab: Path, config: dict[str, Any], fast: dict[str, Any]) -> dict[str, Any]:
    """The flags of both files, which must not differ."""
    for name in _FLAGS:
        if name in config and name in fast and config[name] != fast[name]:
            raise UserError(
                f"{vocab.with_name(CONFIG)}: {name} is {str(config[name]).lower()}, {FAST} beside "
                f"it says {str(fast[name]).lower()}: correct the one that is wrong"
            )
    source = config["source"] if "do_lower_case" in config else str(vocab.with_name(FAST))
    return {**fast, **config, "source": source}


def kept_options(vocab: Path) -> TokenizerOptions | None:
    """What the manifest of a data set or checkpoint says of the vocabulary in its folder."""
    for name in _MANIFESTS:
        try:
            values = read_object(vocab.with_name(name))
            section = values["tokenizer"]
            if vocab.name not in (section.get("file"), values.get("vocab")):
                continue
            if "do_lower_case" not in section:  # a data set of an older version
                return TokenizerOptions(not section["cased"], not section["cased"])
            return TokenizerOptions.from_dict(section)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # none there, or one that its reader will name
    return None


def _flag(path: Path, values: dict[str, Any], name: str) -> bool:
    value = values.get(name)
    if not isinstance(value, bool):
        raise UserError(f"{path}: {name} is {value!r}: true or false was expected")
    return value


def _first_difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    for index, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            return f"id {index} is {one!r} and {other!r}"
    return f"{len(ours):,} and {len(theirs):,} tokens"
