"""Compose the small corpus that ``make quickstart`` trains on.

    python experiments/quickstart/compose_corpus.py [FOLDER]

Sentence frames (frames.txt) are filled with disease and drug names that belong together
(topics.txt) and with ordinary words that are no names (words.txt), and written as PubMed XML
without labels and as tagged sentences. Names are dealt to the splits first: those of devel and test
occur in the abstracts, unlabelled, but in no training sentence; they are made of words and endings
that names in training have. Every run gives the same bytes.
"""

import json
import random
import re
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from invented_names import invent_disease, invent_drug, invent_surname, invent_word

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parents[1] / "biobert_jax" / "quickstart" / "corpus"
SEED, FIRST_PMID = 2021, 90000001
ABSTRACTS = 840
SENTENCES = {"train": 5000, "devel": 300, "test": 400}
KINDS = ("diseases", "drugs")
# Shares of a topic's names that test and devel have for themselves, where so many are learnable.
NAME_SHARES = {"test": 0.15, "devel": 0.1}
# Kinds of tagged sentences: research or clinical, with names or without.
MIXTURE = {"research": 0.34, "clinical": 0.36, "research, no name": 0.11, "clinical, no name": 0.19}
CLAUSES = 0.22  # of the sentences, that get a clause before them; as many get one after them
INVENTED = 0.4  # of the names in the training sentences
NOISE = 0.08  # of the ordinary words there: made-up ones take their places
BARE_ABBREVIATIONS = 0.03  # of the sentences, that name their disease by its initials alone

COUNTRIES = ["Denmark", "Brazil", "Kenya", "Japan", "Canada", "India", "Chile", "Portugal", "Ghana"]
COUNTRIES += ["Norway", "Italy", "Peru", "Korea", "Spain", "Malawi", "Greece", "Iceland", "Nepal"]
WEEKS = ["8", "12", "16", "24", "36", "52"]
FEW = ["two", "three", "four", "five", "six", "seven", "eight", "ten"]
PRONOUNS = (
    {"she": "she", "her": "her", "him": "her", "herself": "herself"},
    {"she": "he", "her": "his", "him": "him", "herself": "himself"},
)
TITLES = ["Mrs.", "Mr.", "Ms.", "Miss", "Dr.", "Prof."]
# A clause comes before frames that begin with one of these, which then lose their capital.
PLAIN_STARTS = {"The", "This", "There", "No", "A", "In", "On", "We", "After", "Both", "Because"}
PLAIN_STARTS |= {"Children", "Patients", "Costs", "Neither", "Treatment", "Mortality", "Surgery"}
LABELS = ["BACKGROUND", "OBJECTIVE", "METHODS", "RESULTS", "CONCLUSIONS"]
# Articles with an abstract in another language besides, and articles with no abstract at all.
OTHER = {
    40: ("fre", "Le traitement a été efficace et bien toléré chez la plupart des malades."),
    160: ("spa", "El tratamiento fue eficaz y bien tolerado en la mayoría de los pacientes."),
    280: ("ger", "Die Behandlung war wirksam und wurde von den meisten Kranken gut vertragen."),
}
TITLE_ALONE = (100, 220)
OTHER_XML = """<OtherAbstract Type="Publisher" Language="{}"><AbstractText>{}</AbstractText>
</OtherAbstract>
"""
ARTICLES = '<?xml version="1.0" encoding="utf-8"?>\n<PubmedArticleSet>\n{}</PubmedArticleSet>\n'
ARTICLE = """<PubmedArticle><MedlineCitation Status="MEDLINE" Owner="NLM">
<PMID Version="1">{}</PMID>
<Article PubModel="Print"><ArticleTitle>{}</ArticleTitle>
{}<Language>eng</Language></Article>
{}</MedlineCitation></PubmedArticle>
"""

Frames = dict[str, list[str]]
Words = dict[str, list[str]]


class Topic(NamedTuple):
    """A field of medicine; a star before a name keeps it for test."""

    organ: list[str]
    cells: list[str]
    genes: list[str]
    measure: list[str]
    signs: list[str]
    doses: list[str]
    diseases: list[str]
    drugs: list[str]


class Split(NamedTuple):
    """What the sentences of a split are made of."""

    topics: list[Topic]
    frames: Frames
    words: Words
    invented: float  # share of names that are made up
    real: frozenset[tuple[str, ...]]  # words of all names of all splits; none made up holds one


def read_lines(name: str) -> list[str]:
    """Return the lines of a file beside this script that are neither blank nor comments."""
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def read_words() -> Words:
    """Return the lists of words.txt by the slot that they fill."""
    entries = (line.split(": ", 1) for line in read_lines("words.txt"))
    return {slot: values.split(", ") for slot, values in entries}


def read_topics() -> list[Topic]:
    """Return the topics of topics.txt."""
    topics: list[dict[str, list[str]]] = []
    for line in read_lines("topics.txt"):
        if line.startswith("["):
            topics.append({})
        else:
            key, values = line.split(": ", 1)
            topics[-1][key] = values.split(", ")
    return [Topic(**topic) for topic in topics]


def read_frames() -> Frames:
    """Return the frames of frames.txt by kind and part, such as ``t.M1``."""
    frames: Frames = {}
    for part, frame in (line.split(" ", 1) for line in read_lines("frames.txt")):
        frames.setdefault(part, []).append(frame)
    return frames


def are_learnable(names: set[str], others: list[str], holders: dict[str, set[str]]) -> bool:
    """Whether each name is made as others are, so that who knows those can tell what it is.

    Its last word is that of two others, or ends as those of three; its other words are in others.
    None of them holds it as a whole; ``holders`` has the names that do.
    """
    split = [split_name(other) for other in others]
    words = Counter(word for parts in split for word in set(parts))
    endings = Counter(parts[-1][-4:] for parts in split)
    for name in names:
        *modifiers, head = split_name(name)
        if words[head] < 2 and endings[head[-4:]] < 3 or not all(words[m] for m in modifiers):
            return False
        if not holders[name].isdisjoint(others):
            return False
    return True


def split_name(name: str) -> list[str]:
    """Return the words of a name in lower case."""
    return re.split("[ -]", name.lower())


def hold_out(pools: list[list[str]], rng: random.Random) -> dict[str, set[str]]:
    """Choose names for devel and test; the others, which are for train, make them learnable.

    A star before a name keeps it for test. The pools are those of the topics: each gives its share.
    """
    rest = [name.lstrip("*") for pool in pools for name in pool]
    holders = {
        name: {
            other
            for other in rest
            if other != name and re.search(rf"\b{re.escape(name)}\b", other, re.IGNORECASE)
        }
        for name in rest
    }
    held = {"test": {name[1:] for pool in pools for name in pool if name[0] == "*"}, "devel": set()}
    rest = [name for name in rest if name not in held["test"]]
    for pool in pools:
        names = rng.sample([name for name in pool if name in rest], len(set(pool) & set(rest)))
        for split, share in NAME_SHARES.items():
            missing = round(share * len(pool)) - len(held[split] & {n.lstrip("*") for n in pool})
            for name in names[:] if missing > 0 else []:
                left = [other for other in rest if other != name]
                if are_learnable({name, *held["test"], *held["devel"]}, left, holders):
                    names.remove(name)
                    rest = left
                    held[split].add(name)
                    missing -= 1
                if missing == 0:
                    break
    return held


def make_splits(rng: random.Random) -> dict[str, Split]:
    """Deal the names to train, devel and test; frames and ordinary words are for all."""
    frames, words, topics = read_frames(), read_words(), read_topics()
    names = (name for topic in topics for kind in KINDS for name in getattr(topic, kind))
    real = frozenset(tuple(split_name(name.lstrip("*"))) for name in names)
    splits = {
        s: Split([], frames, words, INVENTED if s == "train" else 0.0, real) for s in SENTENCES
    }
    held = {kind: hold_out([getattr(t, kind) for t in topics], rng) for kind in KINDS}
    for topic in topics:
        for name, split in splits.items():
            dealt = {}
            for kind in KINDS:
                owner = {n: s for s, names in held[kind].items() for n in names}
                names = [n.lstrip("*") for n in getattr(topic, kind)]
                dealt[kind] = [n for n in names if owner.get(n, "train") == name]
            # A study needs two of each.
            if all(len(names) > 1 for names in dealt.values()):
                split.topics.append(topic._replace(**dealt))
    return splits


def raw_text(train: Split) -> Split:
    """Return what abstracts are made of: the names of all splits."""
    topics = [
        topic._replace(**{kind: [n.lstrip("*") for n in getattr(topic, kind)] for kind in KINDS})
        for topic in read_topics()
    ]
    return train._replace(topics=topics, invented=0.0)


def read_abbreviations(topics: list[Topic]) -> dict[str, str]:
    """Return the initials of diseases, of three letters or more, that mean nothing else."""
    names = [name.lstrip("*") for topic in topics for name in topic.diseases]
    initials = {n: "".join(word[0] for word in re.split("[ -]", n)).upper() for n in names}
    count = Counter(initials.values())
    return {
        n: short
        for n, short in initials.items()
        if len(short) > 2 and count[short] == 1 and short != "ALL"
    }


def draw_study(split: Split, number: int, rng: random.Random) -> dict[str, str]:
    """Draw what stays the same in a study; ``number`` picks the main disease (D) and drug (G)."""
    slots: dict[str, str] = {}
    turn, place = divmod(number, len(split.topics))
    topic = split.topics[place]
    for kind, pool in (("D", topic.diseases), ("G", topic.drugs)):
        first = pool[(turn + turn // len(pool) * (kind == "G")) % len(pool)]
        rest = rng.sample([name for name in pool if name != first], len(pool) - 1)
        first, *rest = [
            invent(kind, split.real, rng) if rng.random() < split.invented else n
            for n in (first, *rest)
        ]
        # A name stands between control characters that say its kind, until it is written.
        marked = [f"\x01{kind}{name}\x02" for name in [first, *rest]]
        slots |= {kind: marked[0], f"{kind}2": marked[1]}
        *most, last = rng.sample(marked, min(rng.randint(2, 4), len(pool)))
        slots[f"{kind}s"] = f"{', '.join(most)} and {last}"
    slots["s"], slots["s2"] = rng.sample(topic.signs, 2)
    pools = {"o": topic.organ, "c": topic.cells, "g": topic.genes, "m": topic.measure}
    pools |= {"C": [slots["G2"], "placebo"], "k": COUNTRIES, "wk": WEEKS}
    slots |= {key: rng.choice(pool) for key, pool in pools.items()}
    slots |= {"dose": rng.choice(topic.doses), "dose2": rng.choice(topic.doses)}
    ends = {"n": (240, 980), "cen": (7, 28), "mo": (14, 60), "age": (31, 89)}
    ends |= {"yr1": (1998, 2009), "yr2": (2010, 2024)}
    return slots | {key: str(rng.randint(*pair)) for key, pair in ends.items()}


def invent(kind: str, real: frozenset[tuple[str, ...]], rng: random.Random) -> str:
    """Return a made-up name of a disease (D) or drug (G) that holds no real one."""
    while True:
        name = (invent_disease if kind == "D" else invent_drug)(rng)
        words = split_name(name)
        places = range(len(words) + 1)
        if not any(tuple(words[i:j]) in real for i in places for j in places if i < j):
            return name


def draw_words(split: Split, rng: random.Random) -> dict[str, str]:
    """Draw the ordinary words of a sentence, the persons among them."""
    slots = dict(rng.choice(PRONOUNS))
    for slot, pool in split.words.items():
        drawn = rng.sample(pool, min(3, len(pool)))
        slots |= {
            f"{slot}{number or ''}": word for number, word in zip((0, 2, 3), drawn, strict=False)
        }
    for slot in ("city", "surname", "surname2"):
        if rng.random() < split.invented:
            slots[slot] = invent_surname(rng)
    slots["letter"], slots["letter2"] = rng.sample("ABCDEFGHJKLMNPRSTW", 2)
    for slot in ("who", "who2"):
        initial = f"{rng.choice('ABCDEFGHIJKLMNOPRSTVWZ')}."
        name = rng.choice([initial, slots["surname" + slot[3:]]])
        slots[slot] = rng.choice([f"{rng.choice(TITLES)} {name}"] * 4 + ["the patient"])
    years, months = rng.randint(1, 94), rng.choice(["six-week-old", "ten-month-old", "newborn"])
    slots["old"] = rng.choice([f"{years}-year-old"] * 6 + [months])
    return slots


def fill(frame: str, study: dict[str, str], split: Split, rng: random.Random) -> str:
    """Choose among the alternatives of a frame and fill its slots; names stay marked."""
    ends = {"x": (21, 38), "hi": (52, 79), "lo": (18, 41), "low": (3, 25), "n1": (31, 60)}
    ends |= {"n2": (64, 98), "p2": (11, 48), "p3": (2, 9), "few1": (1, 9)}
    slots = study | draw_words(split, rng)
    slots |= {key: str(rng.randint(*pair)) for key, pair in ends.items()}
    slots["few"] = rng.choice(FEW)
    slots["p"] = rng.choice(["P < 0.001", f"P = 0.0{slots['p2']}", f"P = 0.00{slots['p3']}"])
    ratio = rng.uniform(0.45, 0.78)
    slots["hr"] = f"{ratio:.2f}, 95% CI {ratio * 0.8:.2f}-{ratio * 1.2:.2f}"

    def value(found: re.Match) -> str:
        key = (
            found[1] if found[1] in slots else {"he": "she"}.get(found[1].lower(), found[1].lower())
        )
        # Words may hold slots themselves, such as "every {few} weeks".
        return re.sub(r"\{(\w+)\}", lambda inner: slots[inner[1]], slots[key])

    text = re.sub(r"\[([^]]*)\]", lambda found: rng.choice(found[1].split("|")), frame)
    return capitalize(re.sub(r"\{(\w+)\}", value, text))


def add_clauses(frame: str, split: Split, kind: str, rng: random.Random) -> str:
    """Put a clause before a frame or after it, where that leaves it a sentence."""
    start = re.match(r"\w+(?= )", frame)
    plain = start is not None and start[0] in PLAIN_STARTS
    if rng.random() < CLAUSES and (plain or re.match(r"\{(?!p)", frame)):
        before = rng.choice(split.frames[f"{kind}.<"])
        frame = f"{before} {frame[0].lower() + frame[1:] if plain else frame}"
    if rng.random() < CLAUSES and re.search(r"[\w}\]]\.$", frame) and ";" not in frame:
        after = rng.choice(split.frames[f"{kind}.>"])
        frame = f"{frame[:-1]}{'' if after[0] == ',' else ' '}{after}."
    return frame


def abbreviate(text: str, disease: str, shorts: dict[str, str], rng: random.Random) -> str:
    """Define the abbreviation of a marked disease where it first occurs, then mostly use it."""
    first, *rest = text.split(disease)
    if disease[2:-1] not in shorts or not rest:
        return text
    short = f"\x01D{shorts[disease[2:-1]]}\x02"
    uses = [f"{disease} ({short})", *[rng.choice([disease, short, short]) for _ in rest[1:]]]
    return first + "".join(use + part for use, part in zip(uses, rest, strict=True))


def capitalize(text: str) -> str:
    """Begin a sentence, which may open with a marked name, with a capital letter."""
    return re.sub(r"^((?:\x01.)?)([a-z])", lambda found: found[1] + found[2].upper(), text)


def to_xml(text: str) -> str:
    """Drop the marks of names and escape the text, keeping its inline markup."""
    return re.sub(r"&lt;(/?\w+)&gt;", r"<\1>", escape(re.sub(r"\x01.|\x02", "", text)))


def compose_article(number: int, split: Split, shorts: dict, rng: random.Random) -> str:
    """Return the XML of an article about one disease; half of them have labelled sections."""
    turn = number // len(split.topics)
    frames, kind = split.frames, rng.choice("ttcclrkkkk")
    study = draw_study(split, number, rng)
    if kind == "k":
        wanted = {"k.S": rng.randint(3, 5), "k.N": rng.randint(2, 4)}
    else:
        wanted = {"n.B1": 1, "n.B2": rng.randint(0, 1), f"{kind}.A": 1, f"{kind}.M1": 1}
        wanted |= {f"{kind}.M2": rng.randint(0, 1), "n.S": rng.randint(0, 1)}
        wanted |= {"n.N": rng.randint(0, 1), f"{kind}.R": rng.randint(1, 3), f"{kind}.C": 1}
    chosen = [(part, frame) for part, n in wanted.items() for frame in rng.sample(frames[part], n)]
    if kind == "k":
        rng.shuffle(chosen)
    text = "\n".join(fill(frame, study, split, rng) for _, frame in chosen)
    sentences = abbreviate(text, study["D"], shorts, rng).split("\n")
    sections: dict[str, str] = {}
    for (part, _), sentence in zip(chosen, sentences, strict=True):
        label = LABELS["BAMRC".index({"S": "R", "N": "M"}.get(part[2], part[2]))]
        label = f' Label="{label}" NlmCategory="{label}"' if turn % 2 and kind != "k" else ""
        sections[label] = f"{sections.get(label, '')} {to_xml(sentence)}".strip()
    body = "".join(f"<AbstractText{k}>{v}</AbstractText>\n" for k, v in sections.items())
    title = to_xml(fill(rng.choice(frames[f"{kind}.T"]), study, split, rng))
    abstract = "" if number in TITLE_ALONE else f"<Abstract>\n{body}</Abstract>\n"
    other = OTHER_XML.format(*OTHER[number]) if number in OTHER else ""
    return ARTICLE.format(FIRST_PMID + number, title, abstract, other)


def tag_sentence(text: str, noise: float, rng: random.Random) -> str:
    """Return a marked sentence as lines of ``token<TAB>label``, without markup.

    A share ``noise`` of the ordinary words is made up: what is unknown is not always a name.
    """
    lines = []
    for piece in re.findall(r"\x01[^\x02]*\x02|[^\x01]+", re.sub(r"</?\w+>", "", text)):
        kind = {"\x01D": "Disease", "\x01G": "Drug"}.get(piece[:2])
        for i, token in enumerate(re.findall(r"\w+|[^\w\s]", piece[2:-1] if kind else piece)):
            prefix = "I-" if i else "B-"
            if not kind and token.isalpha() and len(token) > 3 and rng.random() < noise:
                token = invent_word(rng)
            lines.append(f"{token}\t{prefix + kind if kind else 'O'}\n")
    return "".join(lines)


def compose_tagged(splits: dict[str, Split], shorts: dict, rng: random.Random) -> dict[str, list]:
    """Return the tagged sentences of each split, no two of them equal."""
    sentences: dict[str, list[str]] = {}
    seen: set[str] = set()
    for name, split in splits.items():
        pools: dict[str, list[str]] = {kind: [] for kind in MIXTURE}
        for part, frames in split.frames.items():
            if part[2] not in "T<>":
                field = "clinical" if part[0] == "k" else "research"
                pools[field + ", no name" * (part[2] == "N")] += frames
        done = sentences[name] = []
        while len(done) < SENTENCES[name]:
            study = draw_study(split, len(done), rng)
            [kind] = rng.choices(list(MIXTURE), MIXTURE.values())
            frame = rng.choice(pools[kind])
            framed = add_clauses(frame, split, "k" if kind[0] == "c" else "n", rng)
            short = shorts.get(study["D"][2:-1])
            if short and rng.random() < BARE_ABBREVIATIONS:
                study["D"] = f"\x01D{short}\x02"
            text = fill(framed, study, split, rng)
            if rng.random() < 0.3 and not re.search(r"\(.*\{D\}|\{D\}-", frame):
                text = abbreviate(text, study["D"], shorts, rng)
            sentence = tag_sentence(text, NOISE if split.invented else 0.0, rng)
            if sentence.lower() not in seen:
                seen.add(sentence.lower())
                done.append(sentence)
    return sentences


def main(folder: Path = CORPUS) -> None:
    """Write ``abstracts.xml``, the three TSV files and ``notes.jsonl`` into ``folder``."""
    rng, shorts = random.Random(SEED), read_abbreviations(read_topics())
    splits = make_splits(rng)
    raw = raw_text(splits["train"])
    count = ABSTRACTS + len(TITLE_ALONE)
    articles = [compose_article(i, raw, shorts, rng) for i in range(count)]
    tagged = compose_tagged(splits, shorts, rng)
    files = {f"{split}.tsv": "\n".join(done) + "\n" for split, done in tagged.items()}
    files["abstracts.xml"] = ARTICLES.format("".join(articles))
    # The notes are written by hand; here each becomes a document of its own.
    notes = (CORPUS / "notes.txt").read_text(encoding="utf-8").strip().split("\n\n")
    lines = [{"id": f"note {number}", "text": note} for number, note in enumerate(notes, 1)]
    files["notes.jsonl"] = "".join(json.dumps(ln, ensure_ascii=False) + "\n" for ln in lines)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
