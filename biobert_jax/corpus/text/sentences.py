"""Splits biomedical English into sentences by rule: fast, predictable, no model to fetch.

One regular expression finds the places where a sentence may end; a few checks on the words
around each refuse those that are an abbreviation, an initial, a number or a list mark.
"""

import re
from collections.abc import Iterator

# A stop and what may close after it. The second group is a stop behind a closing bracket, as in
# "et al.)." and "(n = 5).", where whatever stands inside the bracket no longer matters. The
# look-behind and the possessive repeats keep it linear on rows of dots.
_CANDIDATE = re.compile(
    r"""
    (?<![.!?…]) (?P<stop>[.!?…]++) ['"”’»)\]}]*+ (?P<after>[.!?]?+)
    (?:\[\d[\d,; –-]*\])?+           # a reference set behind the stop: "cells.[12] We"
    (?=[^\S\n]++(?P<next>\S{1,40}))
    | \n
    """,
    re.VERBOSE,
)

_OPENING = "([{<\"'“‘«"

# These never end a sentence: something always follows that belongs to them.
_NEVER = frozenset(
    """
    fig figs eq eqs eqn ref refs tab vol vols pp suppl supp ch sect
    e.g i.e eg ie cf vs v.s viz ca approx resp incl nos
    dr drs prof mr mrs ms st mt
    var subsp ssp cv f.sp
    """.split()
)
# These may: they do if a capitalised word follows, and not before a number or a bracket.
_PERHAPS = frozenset(
    """
    al etc sp spp inc ltd co corp jr sr dept univ
    i.v i.p i.m s.c p.o a.m p.m b.i.d t.i.d q.d o.d b.w w.t
    min max sec hr hrs wk wks mo yr yrs wt conc temp mol
    """.split()
)
# "No. 5", but "The answer is no. We ...".
_BEFORE_NUMBER = frozenset("no nr p c art chap lot cat".split())

# Words that begin sentences and are no surnames: "vitamin C. The", but "by J. Smith".
_STARTERS = frozenset(
    """
    a after all also although among an and are as at because both but by compared conclusion
    conclusions despite during each finally first for four from furthermore further given here
    how however if in interestingly is it its mean methods most moreover no none one only our
    patients recently results second several she he similarly since six some such that the their
    then there therefore these they this those three thus to two under using was we were what
    when whereas whether which while with within
    """.split()
)
# What a single letter belongs to, and does not start a name: "hepatitis B. Patients".
_LETTERED = frozenset(
    """
    vitamin vitamins hepatitis group groups type types factor class stage grade influenza protein
    immunoglobulin panel appendix category cytochrome phase part arm case form level child ig
    """.split()
)

_INITIAL = re.compile(r"(?:[A-Z]\.-?)*[A-Z]")
_LIST_MARK = re.compile(r"[(\[]?(?:\d{1,2}|[A-Za-z]|[ivxIVX]{1,4})")
# "mRNA", "p53", "c-Myc", "α-synuclein": a name may begin a sentence with a small letter.
_SMALL_NAME = re.compile(r"[a-z]{1,4}-?[A-Z0-9]|[α-ω]")


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Returns the sentences of a text as (start, end) spans of code points, in order.

    Spans have no white space at either end and together hold every other character exactly
    once. A line break always ends a sentence; text without any stop is one sentence.
    """
    spans = []
    start = 0
    for end in [*_ends(text), len(text)]:
        sentence = text[start:end]
        stripped = sentence.strip()
        if stripped:
            first = start + len(sentence) - len(sentence.lstrip())
            spans.append((first, first + len(stripped)))
        start = end
    return spans


def _ends(text: str) -> Iterator[int]:
    start = 0
    for candidate in _CANDIDATE.finditer(text):
        if candidate["stop"] is None or _is_end(text, start, candidate):
            start = candidate.end()
            yield start


def _is_end(text: str, start: int, candidate: re.Match[str]) -> bool:
    following = candidate["next"]
    bare = following.lstrip(_OPENING)
    first = bare[:1]
    if first.islower() and not _SMALL_NAME.match(bare):
        return False
    if not first.isalnum() and following[0] not in _OPENING:
        return False
    if candidate["stop"] != "." or candidate["after"]:
        return True

    # Only a lone full stop may mean something else; the word before it tells.
    stop = candidate.start()
    if stop - start < 16 and _LIST_MARK.fullmatch(text[start:stop].strip()):
        return False
    before = text[max(start, stop - 30) : stop].split()
    if not before or text[stop - 1].isspace():  # "P < . 05", or a stop set apart: "cells . We"
        return not first.isdigit()
    word = before[-1].lstrip(_OPENING)
    small = word.lower()
    if small in _NEVER:  # In capitals it is more often an acronym: "with severe MR. We".
        return word.isupper() and not first.isdigit()
    if small in _BEFORE_NUMBER:
        return not first.isdigit()
    starts_sentence = bare.rstrip(",:;").lower() in _STARTERS
    if small in _PERHAPS:
        return bare == following and first.isupper()
    if _INITIAL.fullmatch(word):
        lettered = len(before) > 1 and before[-2].lstrip(_OPENING).lower() in _LETTERED
        return starts_sentence or (lettered and len(word) == 1)
    return not (small == "0" and first.isdigit())  # "P = 0. 05"
