"""Sentence splitting: F1 on the NER files' boundaries and MB/s beside blingfire, syntok and pysbd.

    python benchmarks/sentences.py --data ../shared/data

One core. A splitter whose library is not installed is left out by name (`pip install blingfire
syntok pysbd` has them all).

Gold. The NER files give sentences as words, every punctuation mark a word of its own. They are
put back into running text (`detokenize`), 10 consecutive sentences to a passage with one space
between, and every sentence end that is predicted inside a passage is held against the joins. Not
scored, neither as right nor as wrong, are joins that running text does not show, or that are no
sentence ends (the files were themselves split by machine): behind a sentence without a closing
[.?!] (a title), inside a bracket that is still open, and between a digit with a full stop and a
digit ("was 0. | 57"). `raw F1` scores all joins but the first kind. BC2GM's sentences are single
ones in no order; the others' come from the same abstract, in its order. The two BC5CDR sets are
the same text and count once.

Speed. Abstracts and full-text paragraphs, UTF-8 bytes of text over seconds of processor time
(other work on the machine counts less so; all splitters are single-threaded). The splitters take
turns, `--rounds` each, and a ratio is the median over rounds. pysbd and syntok get a slice of the
text, as they need minutes for the whole. blingfire is timed twice: with the offsets that we need
of it, and alone (`text_to_sentences`, which returns text without offsets).
"""

import argparse
import gzip
import json
import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from biobert_jax.corpus.text.splitters import NAMES, Splitter, load_splitter, splitter_id
from biobert_jax.errors import UserError

SETS = ("NCBI-disease", "BC5CDR-chem", "BC2GM", "BioNLP13CG-typed")
HARD_CASES = Path(__file__).parents[1] / "tests" / "corpus" / "sentence_cases.txt"
SENTENCES_PER_PASSAGE = 10
# Share of the text that is enough for the slow ones.
SPEED_SHARE = {"syntok": 0.02, "pysbd": 0.002}


class Passage(NamedTuple):
    """Running text with the code point offsets of its sentences' ends, the last one left out."""

    text: str
    ends: frozenset[int]
    doubtful: frozenset[int]  # ends that only `raw` scores
    hidden: frozenset[int]  # joins without closing punctuation, never scored


class Score(NamedTuple):
    right: int
    found: int
    gold: int

    def __str__(self) -> str:
        precision, recall = self.right / max(1, self.found), self.right / max(1, self.gold)
        return f"{100 * precision:6.2f} {100 * recall:6.2f} {100 * self.f1:6.2f}"

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, self.found + self.gold)


def read_sentences(path: Path) -> Iterator[list[str]]:
    """Yields the words of each sentence of a tagged file; labels are not looked at."""
    words: list[str] = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if word := line.split("\t")[0].strip():
            words.append(word)
        elif words:
            yield words
            words = []
    if words:
        yield words


# Words that stand apart from what is beside them, and words that cling to both sides.
_OPEN, _CLOSE = "([{", ")]}%"
_GLUE = frozenset("- / ' _ @ \\ ^ – ’".split())
_OPERATORS = frozenset("< > = ≤ ≥ ± ~ than".split())

_BEFORE_NUMBER = frozenset(
    "al approx ca cv eq fig figs no nos nr pp ref refs sp spp v vol vs".split()
)
_UNITS = frozenset("cm d day g h hd kg l m mg min ml mmHg s".split())
_CODE = re.compile(r"[A-Za-z]?[A-Z]+[a-z]?\d*[A-Z]?|[A-Z]+[a-z]*\d+[a-z]?")


def detokenize(words: list[str]) -> str:
    """Running text of words that were split at every punctuation mark, by rule and so not exactly.

    Numbers, hyphenated words and abbreviations of single letters come together ("0.05", "i.v.",
    "E. coli", "U.S."); brackets and quotes cling to what they enclose.
    """
    text = ""
    quoted = False
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        before_that = words[index - 2] if index > 1 else ""
        if not text or text[-1] in _OPEN:
            space = ""
        elif word == '"':
            space = "" if quoted else " "
        elif before == '"':
            space = " " if not quoted else ""
        elif word == "." and _leads_number(words, index):
            space = " "  # "alpha of .11"
        elif before == "." and index > 1 and _leads_number(words, index - 1):
            space = ""
        elif word == "." and (
            before in _OPERATORS or (before == "-" and before_that in _OPERATORS)
        ):
            space = "" if before == "-" else " "  # "P < .05"
        elif word in _CLOSE or word in {".", ",", ";", ":", "?", "!", "+"}:
            space = ""
        elif word in _GLUE or before in _GLUE:
            space = ""
        elif before == ".":
            space = "" if _dot_joins(words, index) else " "
        elif before == "," and word.isdigit() and len(word) == 3 and before_that.isdigit():
            space = "" if len(before_that) < 4 else " "  # "1,338"
        elif before == ":" and before_that.isdigit() and word.isdigit():
            space = ""  # "1:200"
        else:
            space = " "
        if word == '"':
            quoted = not quoted
        text += space + word
    return text


def _leads_number(words: list[str], index: int) -> bool:
    """Whether the full stop at `index` is one of a number such as ".05" behind a common word."""
    before, behind = words[index - 1], words[index + 1 : index + 2]
    return (
        bool(behind)
        and behind[0].isdigit()
        and (before == "," or (before.islower() and before.isalpha() and len(before) > 1))
        and before not in _BEFORE_NUMBER
    )


def _dot_joins(words: list[str], index: int) -> bool:
    """Whether a full stop inside a sentence and the word at `index` behind it stand together."""
    word, before = words[index], words[index - 2] if index > 1 else ""
    if not before or before in _OPERATORS | _GLUE | {"(", "["}:  # ".05"
        return word[0].isdigit()
    if word[0].isdigit():  # "0.05", "11q23.1", "PU.1", but "Fig. 1"
        return before[-1].isdigit() or (before[-1].isupper() and len(before) > 1)
    if word in _UNITS and words[index + 1 : index + 2] in (["-"], ["("], ["/"]):  # "mg.kg-1"
        return True
    if before[-1].isalnum() and _CODE.fullmatch(before) and _CODE.fullmatch(word):
        return True  # "B10.D2", "U4/U6.U5"
    if len(before) == 1 and before.isalpha() and len(word) == 1 and word.isalpha():
        return before.islower() == word.islower()  # "i.v.", "U.S."
    return "www" in words[max(0, index - 6) : index]


def make_passages(sentences: list[list[str]]) -> Iterator[Passage]:
    for block in _blocks(sentences):
        text, ends, doubtful, hidden = "", set(), set(), set()
        depth = 0
        for number, words in enumerate(block):
            text += " " * bool(text) + detokenize(words)
            depth = max(0, depth + sum((w in "([") - (w in ")]") for w in words))
            if number + 1 == len(block):
                break
            if not re.search(r"[.?!][\"')\]]*$", text):
                hidden.add(len(text))
                depth = 0
            elif depth or (re.search(r"\d\.$", text) and block[number + 1][0][0].isdigit()):
                doubtful.add(len(text))
            else:
                ends.add(len(text))
        yield Passage(text, frozenset(ends), frozenset(doubtful), frozenset(hidden))


def _blocks(sentences: list[list[str]]) -> Iterator[list[list[str]]]:
    for start in range(0, len(sentences), SENTENCES_PER_PASSAGE):
        yield sentences[start : start + SENTENCES_PER_PASSAGE]


def score(splitter: Splitter, passages: list[Passage], raw: bool) -> Score:
    right = found = gold = 0
    for passage in passages:
        predicted = {end for _, end in splitter(passage.text)} - {len(passage.text)}
        predicted -= passage.hidden
        ends = passage.ends
        if raw:
            ends |= passage.doubtful
        else:
            predicted -= passage.doubtful
        right += len(predicted & ends)
        found += len(predicted)
        gold += len(ends)
    return Score(right, found, gold)


def print_scores(splitters: dict[str, Splitter], data: Path, split: str, every: int) -> None:
    print(f"precision, recall, F1 on {split}.tsv, and F1 with doubtful joins (raw F1)")
    passages = {
        name: list(make_passages(list(read_sentences(data / "ner" / name / f"{split}.tsv"))))
        for name in SETS
    }
    for name, splitter in splitters.items():
        step = every if name in SPEED_SHARE else 1
        chosen = {key: value[::step] for key, value in passages.items()}
        scores = {
            key: [score(splitter, value, raw) for raw in (False, True)]
            for key, value in chosen.items()
        }
        scores["pooled"] = [
            Score(*map(sum, zip(*pair, strict=True))) for pair in zip(*scores.values(), strict=True)
        ]
        sample = f"  (1 passage in {step})" if step > 1 else ""
        for key, (clean, raw) in scores.items():
            print(f"{name:10s} {key:17s} {clean}  raw {100 * raw.f1:6.2f}{sample}")
    counts = [
        sum(len(getattr(p, field)) for value in passages.values() for p in value)
        for field in ("ends", "doubtful", "hidden")
    ]
    print("scored joins {:,}, doubtful {:,}, without closing punctuation {:,}".format(*counts))


def print_hard_cases(splitters: dict[str, Splitter]) -> None:
    """How many of the test set's cases each gets wholly right. The rules were written with it."""
    lines = HARD_CASES.read_text(encoding="utf-8").splitlines()
    cases = [line.lstrip("!") for line in lines if line and line[0] != "#" and "\\n" not in line]
    for name, splitter in splitters.items():
        right = 0
        for case in cases:
            text = case.replace("|", "")
            found = [text[start:end] for start, end in splitter(text)]
            right += found == [part.strip() for part in case.split("|")]
        print(f"{name:10s} {right} of {len(cases)} hard cases, which are ours")


def read_texts(data: Path) -> dict[str, list[str]]:
    folder = data / "corpus" / "text"
    with gzip.open(folder / "abstracts.jsonl.gz", "rt", encoding="utf-8") as lines:
        abstracts = [json.loads(line)["text"] for line in lines]
    with gzip.open(folder / "pmc_paragraphs-0.txt.gz", "rt", encoding="utf-8") as lines:
        paragraphs = [line.rstrip("\n") for line in lines if line.strip()]
    return {"abstracts": abstracts, "paragraphs": paragraphs}


def print_speed(splitters: dict[str, Callable], texts: dict[str, list[str]], rounds: int) -> None:
    for kind, whole in texts.items():
        rates: dict[str, list[float]] = {name: [] for name in splitters}
        for _ in range(rounds):
            for name, splitter in splitters.items():
                chosen = whole[:: round(1 / SPEED_SHARE.get(name, 1))]
                began = time.process_time()
                for text in chosen:
                    splitter(text)
                seconds = time.process_time() - began
                rates[name].append(sum(len(text.encode()) for text in chosen) / 1e6 / seconds)
        size = sum(len(text.encode()) for text in whole) / 1e6
        print(
            f"{kind} ({size:.1f} MB): MB/s of processor time, median of {rounds} rounds, and "
            "how many times faster the rules are"
        )
        for name, values in rates.items():
            ratios = [a / b for a, b in zip(rates["rules"], values, strict=True)]
            print(
                f"{name:16s} {statistics.median(values):8.3f}  {statistics.median(ratios):8.2f} x"
                f" (rounds {min(ratios):.2f} to {max(ratios):.2f})"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, help="the folder with ner/ and corpus/")
    parser.add_argument("--split", default="test", choices=("train", "devel", "test"))
    parser.add_argument("--rounds", type=int, default=5, help="of the speed measurement (5)")
    parser.add_argument("--sample", type=int, default=1, help="score syntok and pysbd on 1 in N")
    parser.add_argument("--only", choices=("scores", "speed"))
    args = parser.parse_args()
    splitters = {}
    for name in NAMES:
        if name == "none":
            continue
        try:
            splitters[name] = load_splitter(name)
            print(splitter_id(name))
        except UserError as error:
            print(f"left out: {error}")
    if args.only != "speed":
        print_scores(splitters, args.data, args.split, args.sample)
        print_hard_cases(splitters)
    if args.only != "scores":
        timed: dict[str, Callable] = dict(splitters)
        if "blingfire" in timed:
            import blingfire

            timed["blingfire alone"] = blingfire.text_to_sentences
        print_speed(timed, read_texts(args.data), args.rounds)


if __name__ == "__main__":
    main()
