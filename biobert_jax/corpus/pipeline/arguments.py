"""What decides a data set's content: the arguments of `biobert prepare`, checked.

The command line builds its options from here at every start: nothing heavy is imported at the top.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from biobert_jax.corpus.documents import ReadOptions
from biobert_jax.corpus.formats import FORMATS, OBJECTIVES, RECORD_FORMATS
from biobert_jax.corpus.options import OPTION, option
from biobert_jax.errors import UserError

if TYPE_CHECKING:
    from biobert_jax.corpus.dataset.records import RecordFormat
    from biobert_jax.corpus.text.tokenization import Tokenizer

_LOWER_CASE = {"auto": None, "yes": True, "no": False}
_OF_PAIRS = ("sentence_splitter", "short_seq_prob", "dupe_factor")
_OF_MASKS = ("masked_lm_prob", "max_predictions", "whole_word_mask")


@dataclass(frozen=True)
class PrepareArguments:
    """What decides a data set's content, as given to `biobert prepare`.

    Attributes:
      inputs: files, in a fixed order, as `expand_inputs` gives them.
      format: a key of `formats.FORMATS`.
      vocab: path of the vocabulary.
      do_lower_case: "auto" as the vocabulary's own files and pieces say; "yes", "no" whatever
        they say.
      options: what to read of the files.
      objective: "mlm" or "mlm_nsp"; "" becomes the one that goes with `record_format`.
      record_format: "packed" or "bert", which is always "mlm_nsp".
      max_seq_length: positions a row.
      sentence_splitter: see `splitters.load_splitter`; used where rows hold sentence pairs.
      short_seq_prob: share of documents made into shorter pairs, as upstream.
      dupe_factor: times that the pairs of a document are made; 0: 10 in google's format, whose
        masks are made once and for all, else 1.
      masked_lm_prob, max_predictions, whole_word_mask: the masks of google's format;
        `max_predictions` 0: the length times the probability, rounded up.
      duplicates: "drop" leaves out documents whose text is that of an earlier one; "keep".
      near_duplicates: leaves out documents about that similar to an earlier one, too (Jaccard
        similarity of word 5-grams); 0: off.
      min_words: shortest document.
      shards: training shards; 0: by size.
      held_out: share of documents kept out of training, chosen by a hash of their ids, so that
        a document stays on its side when files are added; where duplicates are kept by a hash of
        their text, so that copies are on one side.
      on_error: "skip" leaves a bad file out and goes on; "fail" stops at it.
    """

    inputs: tuple[str, ...]
    format: str
    vocab: str
    do_lower_case: str = option(
        "auto",
        "auto: as the tokenizer files beside the vocabulary say, else as its pieces do "
        "(%(default)s)",
        group="rows",
        choices=tuple(_LOWER_CASE),
    )
    options: ReadOptions = ReadOptions()
    objective: str = option(
        "",
        "mlm_nsp: sentence pairs with next-sentence labels (mlm; of google's records mlm_nsp)",
        group="rows",
        choices=OBJECTIVES,
    )
    record_format: str = option(
        "packed",
        "packed: several sequences a row, masked anew at every step; bert: google's records, one "
        "pair a row, masked once (%(default)s)",
        group="rows",
        choices=RECORD_FORMATS,
    )
    max_seq_length: int = option(512, "positions a row (%(default)s)", group="rows")
    sentence_splitter: str = option(
        "rules",
        "for pairs: rules, blingfire, syntok, pysbd, none or package.module:function (%(default)s)",
        group="rows",
        metavar="NAME",
    )
    short_seq_prob: float = option(0.1, "pairs: share of shorter ones (%(default)s)", group="rows")
    dupe_factor: int = option(
        0,
        "pairs: times each document is gone through, with other draws (10 with bert, else 1)",
        group="rows",
    )
    masked_lm_prob: float = option(0.15, "bert: share of masked tokens (%(default)s)", group="rows")
    max_predictions: int = option(
        0,
        "bert: masked tokens a row, run_pretraining.py's --max_predictions_per_seq (length * "
        "share, rounded up: 20 at 128, 77 at 512)",
        group="rows",
    )
    whole_word_mask: bool = option(False, "bert: mask whole words", group="rows")
    duplicates: str = option(
        "drop",
        "documents whose text has come before (%(default)s); where they are kept, the held-out "
        "share is chosen by their text, so that copies are on one side",
        group="documents",
        choices=("drop", "keep"),
    )
    near_duplicates: float = option(
        0.0,
        "drop documents about so similar to an earlier one, such as 0.8 (off)",
        group="documents",
        metavar="SIMILARITY",
    )
    min_words: int = option(0, "shortest document (%(default)s)", group="documents")
    shards: int = option(0, "training shards (by size)", group="rows")
    held_out: float = option(
        0.01,
        "share of documents kept for evaluation, chosen by a hash of their ids (%(default)s); none "
        "has the text of a training one, and near twins of training ones are counted: "
        "--near_duplicates leaves them out",
        group="documents",
        metavar="SHARE",
    )
    seed: int = option(0, "of the shuffle and of pairs (%(default)s)", group="the run")
    on_error: str = option(
        "skip",
        "skip: a bad file, line or member is left out and named; fail: it stops the run "
        "(%(default)s)",
        group="the run",
        choices=("skip", "fail"),
    )

    def __post_init__(self):
        if not self.objective:
            default = "mlm_nsp" if self.record_format == "bert" else "mlm"
            object.__setattr__(self, "objective", default)
        for field in fields(self):
            known = field.metadata.get(OPTION, {}).get("choices")
            if known and getattr(self, field.name) not in known:
                raise UserError(
                    f"--{field.name} {getattr(self, field.name)}: use one of {', '.join(known)}"
                )
        if self.record_format == "bert" and self.objective != "mlm_nsp":
            raise UserError("--record_format bert holds sentence pairs: use --objective mlm_nsp")
        if not 8 <= self.max_seq_length <= 65536:
            raise UserError(
                f"--max_seq_length {self.max_seq_length}: a row has 8 to 65,536 positions"
            )
        if not 0 <= self.held_out < 1:
            raise UserError(f"--held_out {self.held_out}: give a share from 0 to below 1")
        for name in ("short_seq_prob", "masked_lm_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"--{name} {getattr(self, name)}: give a number from 0 to 1")
        if not 0 <= self.near_duplicates < 1:
            raise UserError(
                f"--near_duplicates {self.near_duplicates}: give a similarity below 1, such as 0.8"
            )
        if self.near_duplicates and self.duplicates == "keep":
            raise UserError("--near_duplicates drops duplicates too: leave out --duplicates keep")
        if self.max_predictions > self.max_seq_length:
            raise UserError(
                f"--max_predictions {self.max_predictions}: a row has {self.max_seq_length} "
                "positions"
            )
        for name in ("seed", "shards", "dupe_factor", "max_predictions", "min_words"):
            if getattr(self, name) < 0:
                raise UserError(f"--{name} {getattr(self, name)}: give a number from 0 on")

        # An option that changes nothing is a misunderstanding.
        for names, is_used, remedy in (
            (_OF_PAIRS, self.needs_sentences, "sentence pairs: give --objective mlm_nsp"),
            (_OF_MASKS, self.record_format == "bert", "google's format: give --record_format bert"),
        ):
            for name in names:
                if not is_used and getattr(self, name) != getattr(type(self), name):
                    raise UserError(f"--{name} is for {remedy} with it, or leave it out")

    def load_tokenizer(self) -> "Tokenizer":
        """The vocabulary's tokenizer."""
        return load_vocabulary(self.vocab, self.do_lower_case)

    @property
    def needs_sentences(self) -> bool:
        """Whether documents are split into sentences."""
        return self.objective == "mlm_nsp"

    @property
    def repeats(self) -> int:
        """The dupe factor in force."""
        return self.dupe_factor or (10 if self.record_format == "bert" else 1)

    def format_of_records(self, vocab_size: int) -> "RecordFormat":
        """The kind of records that these arguments ask for."""
        from biobert_jax.corpus.dataset.records import RecordFormat
        from biobert_jax.corpus.rows.masked_pairs import max_predictions_for

        predictions = 0
        if self.record_format == "bert":
            predictions = self.max_predictions or max_predictions_for(
                self.max_seq_length, self.masked_lm_prob
            )
        return RecordFormat(
            self.record_format, self.objective, self.max_seq_length, vocab_size, predictions
        )


def load_vocabulary(vocab: str, do_lower_case: str) -> "Tokenizer":
    """The tokenizer of `PrepareArguments` of these two."""
    from biobert_jax.corpus.text.tokenization import load_tokenizer
    from biobert_jax.corpus.text.tokenizer_files import local_vocabulary

    with local_vocabulary(vocab) as path:
        return load_tokenizer(path, do_lower_case=_LOWER_CASE[do_lower_case])


def input_sizes(paths: Sequence[str]) -> list[int]:
    """Sizes of files in bytes, as stored."""
    from biobert_jax.corpus.pipeline.tasks import file_states

    return [size for size, _ in file_states(paths)]


def fingerprint(arguments: PrepareArguments, tokenizer: "Tokenizer") -> str:
    """A hash of all that decides the content: arguments, vocabulary, files and their sizes."""
    return _hash([work_claim(arguments, tokenizer), input_sizes(arguments.inputs)])


def work_claim(arguments: PrepareArguments, tokenizer: "Tokenizer") -> str:
    """As `fingerprint`, without the sizes: an unfinished run goes on when a file was mended."""
    from biobert_jax.corpus.dataset.manifest import FORMAT_VERSION
    from biobert_jax.corpus.text.splitters import splitter_id

    deciding = asdict(arguments)
    for name in ("vocab", "do_lower_case", "on_error"):
        del deciding[name]
    # What 0 stands for was another number once.
    deciding["max_predictions"] = arguments.format_of_records(0).max_predictions
    return _hash(
        {
            **deciding,
            "version": FORMAT_VERSION,
            "reader": FORMATS[arguments.format].version,
            "splitter": splitter_id(arguments.sentence_splitter)
            if arguments.needs_sentences
            else "",
            "vocab_sha256": tokenizer.vocab_sha256(),
            "tokenizer": tokenizer.options.to_dict(),
            # It was by ids, always.
            **({"sides": "by text"} if arguments.duplicates == "keep" else {}),
        }
    )


def _hash(content: Any) -> str:
    digest = hashlib.sha256()
    for piece in json.JSONEncoder(sort_keys=True).iterencode(content):  # of millions of paths
        digest.update(piece.encode())
    return digest.hexdigest()
