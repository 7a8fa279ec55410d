"""What decides a data set's content: the arguments of `biobert prepare`, checked."""

import glob
import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace

from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.errors import UserError
from biobert_jax.files import file_sha256


@dataclass(frozen=True)
class PrepareArguments:
    """What decides a data set's content, as given to `biobert prepare`.

    Attributes:
      inputs: files, in a fixed order.
      format: a key of `readers.READERS`.
      vocab: path of the vocabulary.
      max_seq_length: positions a row.
      shards: training shards; 0: by size.
      held_out: share of documents kept out of training, chosen by a hash of their ids, so that
        a document stays on its side when files are added.
      on_error: "skip" leaves a bad file out and goes on; "fail" stops at it.
    """

    inputs: tuple[str, ...]
    format: str
    vocab: str
    max_seq_length: int = 512
    shards: int = 0
    held_out: float = 0.0
    seed: int = 0
    on_error: str = "skip"

    def __post_init__(self):
        if self.max_seq_length < 8:
            raise UserError(f"--max_seq_length {self.max_seq_length}: a row needs 8 positions")
        if not 0 <= self.held_out < 1:
            raise UserError(f"--held_out {self.held_out}: give a share from 0 to below 1")
        if self.seed < 0:
            raise UserError(f"--seed {self.seed}: give a number from 0 on")
        if self.shards < 0:
            raise UserError(f"--shards {self.shards}: give a number above 0")


def expand_inputs(patterns: str) -> tuple[str, ...]:
    """The files that comma-separated globs match, sorted, each once.

    Raises:
      UserError: a pattern that matches no file.
    """
    files: dict[str, None] = {}
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        matches = sorted(p for p in glob.glob(pattern, recursive=True) if os.path.isfile(p))
        if not matches:
            what = "no file matches" if glob.has_magic(pattern) else "no such file:"
            raise UserError(f"--input: {what} {pattern}")
        files.update(dict.fromkeys(matches))
    if not files:
        raise UserError("--input is empty: give a file or a glob")
    return tuple(files)


def fingerprint(arguments: PrepareArguments, tokenizer: Tokenizer) -> str:
    """A hash of everything that decides the content: arguments, vocabulary, files and sizes."""
    content = {
        **asdict(replace(arguments, vocab="", on_error="")),
        "vocab_sha256": file_sha256(tokenizer.path),
        "sizes": [os.path.getsize(path) for path in arguments.inputs],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
