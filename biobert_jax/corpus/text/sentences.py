"""Splits biomedical English into sentences by rule: fast, predictable, no model to fetch.

One regular expression finds the places where a sentence may end and settles most of them: a plain
word, a full stop, a space, a capital. For the rest a few checks on the words around refuse those
that are an abbreviation, an initial, a number, a list mark or inside a bracket.
"""

import re

# Part of the fingerprint of what was made with the rules: raise it when their answers change.
RULES_VERSION = 3

# These never end a sentence: something always follows that belongs to them.
_NEVER = frozenset(
    """
    fig figs eq eqs eqn ref refs tab vol vols pp suppl supp ch sect
    e.g i.e eg ie cf vs v.s viz ca approx incl nos
    var subsp ssp cv cvs f.sp pvt pty
    """.split()
)
# Nor these, written so: titles ("30 ms. We" is none), and the words of journals' names.
_NEVER_AS_WRITTEN = frozenset(
    """
    Dr Drs Prof Mr Mrs Ms St Sta Ste Mt Fr
    Acad Acta Agric Am Ann Anal Appl Arch Assoc Biochem Biochim Biol Biophys Bot Br Bull Chem Clin
    Commun Curr Dev Dis Endocrinol Engl Entomol Environ Epidemiol Eur Exp Genet Hum Immunol Infect
    Int Intern Lett Med Microbiol Mol Mutat Nat Natl Neurobiol Neurol Neurosci Nutr Oncol Opin
    Pathol Pharm Pharmacol Phys Physiol Proc Psychiatr Psychol Radiol Res Rev Sci Soc Surg Ther
    Toxicol Virol
    """.split()
)
# These may: they do if a capitalised word follows, and not before a number or a bracket.
_PERHAPS = frozenset(
    """
    al etc sp spp inc ltd co corp jr sr dept univ resp lab labs
    i.v i.p i.m s.c p.o i.n i.d i.t i.c.v a.m p.m b.i.d t.i.d q.i.d b.d q.d o.d
    t.d.s q.d.s b.w w.t
    min max sec hr hrs wk wks mo yr yrs wt conc temp mol
    """.split()
)
# "No. 5" and "Jan. 2001", but "The answer is no. We ...".
_BEFORE_NUMBER = frozenset(
    """
    no nr art chap lot cat chr env mod ver ind ed ser
    jan feb mar apr jun jul aug sep sept oct nov dec
    """.split()
)
_NUMBER_WORDS = frozenset("No. Nos. Nr.".split())  # "Cat. No. 5"
# What the name of an institute goes on after: "Univ. Osnabrueck", "SAS Inst. Inc.".
_INSTITUTES = frozenset("Univ Hosp Inst Coll Dept Div Ctr".split())
# Units in two parts: "37 deg. C", "at 45 deg. N", "120 mm. Hg".
_UNITS = {
    "deg": re.compile(r"(?:[CFKNSEW]|Celsius|Fahrenheit)\b"),
    "mm": re.compile(r"(?:Hg|H2O)\b"),
    "cm": re.compile(r"H2O\b"),
}
# The same of letters that are an initial when capital: "p. 12", "21% v. 40%", but "C. Smith".
_SMALL_LETTERS = frozenset("c p v".split())
_COMPANY = frozenset("ltd inc corp co kg llc gmbh".split())

# Words that begin sentences and are no surnames: "in the U.S. The", but "by J. Smith".
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
    vitamin vitamins group groups type types line lines class stage grade panel part arm case
    form level child ig apo coenzyme mono chain site zone gene loop
    """.split()
)
# Any other word of five letters does, but not these: "the author J. Smith", "serovar S. Typhi".
_UNLETTERED = frozenset(
    """
    about above after against author authors before being below between bacteria bacterium
    called caused causes colleague doctor editor fungus genera genus given isolate isolates
    namely nematode observer pathogen pathogens professor reviewer serotype serovar species
    strain strains surgeon their these those through under versus where which while within
    without yeast yeasts
    """.split()
)

# Salmonella's, which are written with a capital: "of S. Typhi".
_SEROVARS = frozenset(
    """
    typhimurium typhi enteritidis paratyphi infantis heidelberg newport dublin choleraesuis
    gallinarum pullorum kentucky agona montevideo
    """.split()
)

_OPENING = "([{<\"'“‘«"

# How the abbreviations end that have four small letters: the quick way must leave them alone. A
# whole word that ends like one ("insect") only takes the slow way.
_LIKE_ABBREVIATION = "|".join(
    sorted(
        {
            word[-4:]
            for word in {*_NEVER, *_NEVER_AS_WRITTEN, *_PERHAPS, *_BEFORE_NUMBER, "viii"}
            if re.search("[a-z]{4}$", word)
        }
    )
)
# It begins with a plain set of characters, which the engine finds fast; everything else waits
# behind. The possessive repeats, and the look-behind that skips the rest of a row, keep it linear.
_STOP = re.compile(
    rf"""
    [.!?…] (?<![.!?…][.!?…])
    (?:
        (?: (?<=[a-z]{{4}}\.) (?<!(?:{_LIKE_ABBREVIATION})\.) | (?<=[)\]]\.) )
        (?=[ ][A-Z])                                      # plain: an end without more checks
    |   (?P<row> [.!?…]*+ ) (?P<close> ['"”’»)\]}}]*+ ) (?P<after> [.!?]?+ )
        (?P<reference>
            [ ]?\[[\d,;–][\d,; –-]*+\]                           # "cells.[12] We", "cells. [12] We"
        |   (?<=[a-z)]\.) \d{{1,3}} (?:[,–-]\d{{1,3}})*+ (?=[ ][A-Z])  # "cells.12,13 We"
        |   \([\d,–-]*+\) | \[\] | [–-] (?=[ ][A-Z])             # and what is left of some
        )?+
        (?= \s++ (?P<next> \S{{1,40}} ) )
    )
    """,
    re.VERBOSE,
)

_INITIAL = re.compile(r"(?:[A-Z]\.-?)*[A-Z]")
# What stands before the first stop of a sentence and belongs to it: "1. We", "Table 2. Doses".
_MARK = re.compile(
    r"""
    [(\[]? (?: \d{1,2} | [A-Za-z] | [ivxIVX]{1,4} )
    | (?:(?:Supplementary|Supplemental|Supporting|Additional|Online|Extended\ Data)\ )?
      (?: Aim | Appendix | Box | Case | Chapter | Example | Experiment | Fig(?:ure|\.)? | [Ff]ile
      |   FIGURE | Film | Hypothesis | Movie | Scheme | Section | Step | Table | TABLE | Video )
      \ [A-Z]?\d{1,3}[A-Za-z]? (?:[.-]\d{1,2})?
    """,
    re.VERBOSE,
)
# What may begin a sentence with a small letter or a mark: "mRNA", "p53", "c-Myc", "α-synuclein",
# "beta-Catenin", "von Willebrand", "(ii) We", "-We"; but "mg. kg-1" are units.
_SMALL_START = re.compile(
    r"""
    (?! (?:mg|g|kg|mol|ml|l|m|cm|mm|mmHg|s|sec|min|h|d|day|wk|hd) (?:-?[1-3]|[⁻−].)\b )
    [(\["'“‘]*
    (?: [a-z]{1,4}-?[A-Z0-9] | [α-ω] | [cv]-[a-z]{2,4}\b
    |   (?:alpha|beta|gamma|delta|epsilon|kappa|lambda|omega|sigma|theta|zeta)[-\d]
    |   (?:van|von|de|di|du|la|le)\ (?:de[nr]?\ )?[A-Z] )
    | [(\[]? (?:[ivx]{1,4}|[a-z]) [)\]][ ]
    | [-–—•*·▪] [ ]? [A-Z]
    """,
    re.VERBOSE,
)
# A journal's volume and page: "J. Exp. Zool. 286:305".
_VOLUME = re.compile(r"\d+(?:\(\d+\))?:\d")
# A chromosome's band, which some texts tear apart: "19p13. 3".
_BAND = re.compile(r".*[0-9XY][pq]\d+")


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Returns the sentences of a text as (start, end) spans of code points, in order.

    Spans have no white space at either end and together hold every other character exactly
    once. A line break always ends a sentence; text without any stop is one sentence.
    """
    spans: list[tuple[int, int]] = []
    line = 0
    while (line_end := text.find("\n", line)) >= 0:
        _split_line(text, line, line_end, spans)
        line = line_end + 1
    _split_line(text, line, len(text), spans)
    return spans


def _split_line(text: str, start: int, stop: int, spans: list[tuple[int, int]]) -> None:
    while start < stop and text[start].isspace():
        start += 1
    while start < stop and text[stop - 1].isspace():
        stop -= 1
    if start == stop:
        return
    for match in _STOP.finditer(text, start, stop):
        end = match.end()
        if match.lastindex is None:
            following = end + 1
            if _inside_bracket(text, start, end, stop):
                continue
        else:
            following = match.start("next")
            if not _is_end(text, start, match):
                continue
        spans.append((start, end))
        start = following
    spans.append((start, stop))


def _inside_bracket(text: str, start: int, end: int, line_end: int) -> bool:
    """Whether a bracket that opened inside the sentence is closed only behind `end`.

    What is looked at is bounded, so that time stays linear; one that is never closed is a slip.
    """
    bracket = text.rfind("(", max(start + 1, end - 1000), end)
    if bracket < 0 or text.find(")", bracket, end) >= 0:
        return False
    close = text.find(")", end, min(end + 300, line_end))
    return close >= 0 and text.find("(", end, close) < 0


def _is_end(text: str, start: int, match: re.Match[str]) -> bool:
    following = match["next"]
    bare = following.lstrip(_OPENING)
    first = bare[:1]
    if not first.isupper() and not first.isdigit():
        small = _SMALL_START.match(text, match.start("next"))
        if not small and (first.islower() or following[0] not in _OPENING):
            return False
    stop = match.start()
    if _inside_bracket(text, start, match.end(), match.endpos):
        return False
    if text[stop] != "." or match["row"] or match["after"]:
        return True
    if match["reference"] and not first.isdigit() and text[stop + 1] == "[":
        return True

    # Only a lone full stop may mean something else; the word before it tells.
    if stop - start < 40 and _MARK.fullmatch(text, start, stop):
        return False
    before = text[max(start, stop - 60) : stop].split()
    if not before or text[stop - 1].isspace():  # "P < . 05", or a stop set apart: "cells . We"
        return not first.isdigit()
    word = before[-1].rpartition("–")[2].lstrip(_OPENING)
    small_word = word.lower()
    if word in _NEVER_AS_WRITTEN:
        return False
    if small_word in _NEVER:  # In capitals it is more often an acronym: "with severe MR. We".
        return word.isupper() and not first.isdigit()
    if small_word in _BEFORE_NUMBER or word in _SMALL_LETTERS:
        return not first.isdigit() and following not in _NUMBER_WORDS
    if small_word in _UNITS and _UNITS[small_word].match(bare):
        return False
    if word in _INSTITUTES:
        return _starts_sentence(bare)
    if small_word in _PERHAPS:
        return _ends_after_abbreviation(small_word, following)
    if _INITIAL.fullmatch(word):
        return _ends_after_initial(before, bare)
    if first.isdigit():
        if match["close"] and text[match.end() - 1] == ")":  # "Gene (Amst.) 116, 7"
            return text[start] == "("
        torn = word.lstrip("<>=≤≥±+-−~") == "0" or _BAND.fullmatch(word)  # "P = 0. 05"
        return not torn and not _VOLUME.match(following)
    if match["close"] and before[-1][0] == "(" and len(word) < 16 and word[:1].isupper():
        return _starts_sentence(bare)  # Who named a species: "Cajanus cajan (L.) Millsp."
    return True


def _starts_sentence(bare: str) -> bool:
    return bare.rstrip(",:;").lower() in _STARTERS


def _ends_after_abbreviation(small: str, following: str) -> bool:
    if not following[0].isupper():
        return False
    if small in ("sp", "spp"):  # "Bacillus sp. AB12"
        return not any(c.isdigit() for c in following)
    return following.rstrip(".,);").lower() not in _COMPANY  # "Pharmaceutical Co. Ltd."


def _ends_after_initial(before: list[str], bare: str) -> bool:
    """Whether a sentence ends with the capital letter or letters that end `before`."""
    if _starts_sentence(bare):
        return True
    letter = before[-1].lstrip(_OPENING)
    if len(before) < 2 or len(letter) > 1 or letter == "L" or not bare[:1].isupper():  # Linnaeus
        return False
    if bare[1:2] == "." or bare.rstrip(".,;)").lower() in _SEROVARS:  # "W. Y. Xiong"
        return False
    owner = before[-2].lstrip(_OPENING)
    if owner in ("and", "or") and len(before) > 2:  # "in groups A and B. Patients"
        return len(before[-3].rstrip(",")) == 1 and before[-3][0].isupper()
    if owner.lower() in _LETTERED:
        return True
    return (
        len(owner) >= 5
        and owner.isalpha()
        and owner.islower()
        and owner not in _UNLETTERED
        and not owner.endswith("ing")
    )
