"""The field's data sets that have tensorflow-datasets builders: their files and splits.

Names of files are those of the releases, or of the scripts under `benchmarks/` that split what
comes without a split. `biobert_ner/ncbi_disease` is the set `ncbi_disease` of the builder of
sentences; a set is called as its preset under `experiments/`, a fold with its number.
"""

from collections.abc import Mapping
from typing import NamedTuple

TRAIN, VALIDATION, TEST = "train", "validation", "test"


class Release(NamedTuple):
    """A data set as it is published.

    Attributes:
      files: by split, the names that its file may have; the first of them that is there is read.
      folders: what its folder may be called in a folder that holds several sets, beside its name.
      kind: of questions, those to take: "factoid" or "list"; "": all.
    """

    files: Mapping[str, tuple[str, ...]]
    folders: tuple[str, ...] = ()
    kind: str = ""


def builder_of(task: str) -> str:
    """The name of the builder of a task's sets."""
    return f"biobert_{task}"


def _files(train: str, validation: str, test: str) -> dict[str, tuple[str, ...]]:
    return {TRAIN: (train,), VALIDATION: (validation,), TEST: (test,)}


def _questions(*, train: str = "", test: str = "") -> dict[str, tuple[str, ...]]:
    named = {TRAIN: ("train.json", train), VALIDATION: ("devel.json",), TEST: ("test.json", test)}
    return {split: tuple(filter(None, names)) for split, names in named.items()}


_WORDS = _files("train.tsv", "devel.tsv", "test.tsv")
_TEXTS = _files("train.tsv", "dev.tsv", "test.tsv")

NER = {
    "ncbi_disease": Release(_WORDS, ("NCBI-disease",)),
    "bc5cdr_disease": Release(_WORDS, ("BC5CDR-disease",)),
    "bc5cdr_chem": Release(_WORDS, ("BC5CDR-chem",)),
    "bc4chemd": Release(_WORDS, ("BC4CHEMD",)),
    "bc2gm": Release(_WORDS, ("BC2GM",)),
    "jnlpba": Release(_WORDS, ("JNLPBA",)),
    "linnaeus": Release(_WORDS),
    "s800": Release(_WORDS),
    "i2b2_2010": Release(_WORDS),
    "pico": Release(_WORDS),
}
CLASSIFICATION = {
    **{f"gad_{n}": Release(_TEXTS, (f"GAD/{n}", f"{n}")) for n in range(1, 11)},
    **{f"euadr_{n}": Release(_TEXTS, (f"euadr/{n}", f"{n}")) for n in range(1, 11)},
    "chemprot": Release(_TEXTS),
    "ddi": Release(_TEXTS),
    "hoc": Release(_files("train.jsonl", "devel.jsonl", "test.jsonl")),
    "biosses": Release(_WORDS),
    "bioasq_yesno": Release(_questions()),
    "pubmedqa": Release(_questions()),
}
QA = {
    "squad": Release(_questions(train="train-v1.1.json", test="dev-v1.1.json")),
    "squad2": Release(_questions(train="train-v2.0.json", test="dev-v2.0.json")),
    "bioasq_factoid": Release(_questions(), kind="factoid"),
    "bioasq_list": Release(_questions(), kind="list"),
}
RELEASES: Mapping[str, Mapping[str, Release]] = {
    "ner": NER,
    "classification": CLASSIFICATION,
    "qa": QA,
}
