"""Compose the small sets of `biobert_jax/quickstart/samples`, one for every task; see its README.

Usage: python experiments/quickstart/compose_samples.py [FOLDER]

Frames whose slots are filled with names; no sentence is in two splits, and every label can be told
by words of its frame, so that a model learns the sets in a minute.
"""

import json
import random
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "biobert_jax" / "quickstart" / "samples"
SEED = 2012
SPLITS = {"train": 48, "devel": 16, "test": 24}

GENES = "TP53 BRCA2 APOE MTHFR CCR5 KRAS PTEN TNF IL6 VEGFA ACE EGFR CFTR HLA-B LDLR NOD2".split()
DISEASES = """asthma|gastric cancer|type 2 diabetes|psoriasis|stroke|rheumatoid arthritis|glaucoma|\
hypertension|Crohn disease|melanoma|epilepsy|pneumonia|osteoporosis|migraine|sepsis|anemia""".split(
    "|"
)
DRUGS = """aspirin metformin warfarin simvastatin tamoxifen ibuprofen amoxicillin lithium digoxin \
cisplatin prednisone morphine insulin heparin clozapine omeprazole""".split()
ORGANS = "liver kidney lung heart brain stomach skin colon pancreas spleen retina bladder".split()
SIGNS = "nausea|headache|rash|fever|dizziness|bleeding|cough|fatigue|tremor|weight loss".split("|")
PEOPLE = "adults|children|older men|pregnant women|outpatients|smokers|athletes|nurses".split("|")
PLACES = "Japan|Finland|Brazil|Kenya|Canada|Spain|Korea|Egypt|Norway|Chile|India|Poland".split("|")
MONTHS = "two three four five six eight nine ten eleven twelve".split()

RELATIONS = {
    "1": (
        "@GENE$ variants were strongly associated with @DISEASE$ in {people} from {place}.",
        "In {place}, carriers of the @GENE$ allele got @DISEASE$ more often within {n} months.",
        "We conclude that @GENE$ contributes to @DISEASE$ and to {sign} in {people}.",
        "Expression of @GENE$ in the {organ} predicts @DISEASE$ in {people}.",
    ),
    "0": (
        "No association was found between @GENE$ and @DISEASE$ in {people} from {place}.",
        "In {place}, @GENE$ genotypes did not differ between {people} with and without @DISEASE$.",
        "Neither {sign} nor @DISEASE$ was related to @GENE$ in {people}.",
        "We found no evidence that @GENE$ in the {organ} alters @DISEASE$ in {people}.",
    ),
}
# The context's sentences, and what may be asked of each; the answer stands in its slot.
FACTS = (
    (
        "{drug} was given to {n} {people} in {place}.",
        ("Which drug was given to {people}?", "drug"),
        ("Where was {drug} given?", "place"),
    ),
    (
        "The most common side effect was {sign}, seen after {n} months.",
        ("What was the most common side effect?", "sign"),
    ),
    (
        "The gene {gene} was expressed in the {organ}.",
        ("Which gene was expressed in the {organ}?", "gene"),
        ("In which organ was {gene} expressed?", "organ"),
    ),
    (
        "All of them suffered from {disease}.",
        ("Which disease did the {people} suffer from?", "disease"),
    ),
)
YES = (
    "{drug} reduced the symptoms of {disease} in {people}.",
    "Treatment with {drug} was effective against {disease} in {place}.",
)
NO = (
    "{drug} had no effect on {disease} in {people}.",
    "Treatment with {drug} failed against {disease} in {place}.",
)
TOPICS = {
    "treatment": "{people} received {drug} for {n} months.",
    "genetics": "A mutation of {gene} was inherited.",
    "imaging": "Magnetic resonance images of the {organ} were taken.",
    "epidemiology": "The incidence of {disease} rose in {place}.",
}
PAIRS = {
    4.0: (
        "{drug} relieved {sign} in {people} with {disease}.",
        "In {people} who had {disease}, {sign} was relieved by {drug}.",
    ),
    2.0: (
        "{drug} relieved {sign} in {people} with {disease}.",
        "{sign} is common in {people} with {disease} who live in {place}.",
    ),
    0.0: (
        "{drug} relieved {sign} in {people} with {disease}.",
        "Expression of {gene} in the {organ} was measured for {n} months.",
    ),
}
TAGGED = (
    "{drug} worsened {disease} in {people} from {place} .",
    "Mutations of {gene} cause {disease} of the {organ} .",
    "{people} with {disease} were treated with {drug} and {drug2} for {n} months .",
    "Levels of {gene} did not change under {drug} in the {organ} .",
    "{sign} was seen in {people} , but neither {disease} nor {disease2} .",
)
TYPES = {"drug": "Chemical", "disease": "Disease", "gene": "Gene"}


def draw(rng: random.Random) -> dict[str, str]:
    """Draw what fills the slots."""
    drug, drug2 = rng.sample(DRUGS, 2)
    disease, disease2 = rng.sample(DISEASES, 2)
    pools = {"gene": GENES, "organ": ORGANS, "sign": SIGNS, "people": PEOPLE, "place": PLACES}
    slots = {key: rng.choice(pool) for key, pool in (pools | {"n": MONTHS}).items()}
    return slots | {"drug": drug, "drug2": drug2, "disease": disease, "disease2": disease2}


def fill(frame: str, slots: dict[str, str]) -> str:
    """Fill a frame and begin it with a capital letter."""
    text = frame.format(**slots)
    return text[0].upper() + text[1:]


def distinct(make: Callable[[int], tuple[str, object]], count: int, seen: set[str]) -> Iterator:
    """Yield `count` of what `make` gives beside texts that no set has had."""
    number = 0
    while number < count:
        text, made = make(number)
        if text not in seen:
            seen.add(text)
            number += 1
            yield made


def relation(number: int, rng: random.Random) -> tuple[str, tuple[str, str]]:
    label = "10"[number % 2]
    text = fill(rng.choice(RELATIONS[label]), draw(rng))
    return text, (text, label)


def marked(number: int, rng: random.Random) -> tuple[str, dict]:
    """A relation in raw text: the names as they are, and where they stand."""
    text, (_, label) = relation(number, rng)
    slots, entities, key = draw(rng), [], text
    for mark, kind in (("@GENE$", "gene"), ("@DISEASE$", "disease")):
        text = text.replace(mark, slots[kind])
    for kind in ("gene", "disease"):
        start = text.index(slots[kind])
        end = start + len(slots[kind])
        entities.append({"start": start, "end": end, "type": kind.capitalize()})
    return key, {"id": f"{number:02d}", "text": text, "label": label, "entities": entities}


def paragraph(number: int, rng: random.Random) -> tuple[str, dict]:
    slots = draw(rng)
    sentences = [fill(facts[0], slots) for facts in rng.sample(FACTS, len(FACTS))]
    context = " ".join(sentences)
    asked = [question for facts in FACTS for question in facts[1:]]
    qas = []
    for order, (question, slot) in enumerate(rng.sample(asked, 2)):
        found = re.search(rf"\b{re.escape(slots[slot])}\b", context, re.IGNORECASE)
        answer = {"text": found[0], "answer_start": found.start()}
        id_ = f"sample-{number:02d}-{order}"
        qas.append({"id": id_, "question": fill(question, slots), "answers": [answer]})
    return context, {"context": context, "qas": qas}


def bioasq(number: int, split: str, rng: random.Random) -> tuple[str, dict]:
    """A question of BioASQ's form; kinds take turns, and yes and no."""
    kind, slots = ("yesno", "yesno", "factoid", "list")[number % 4], draw(rng)
    others = [draw(rng) | {key: slots[key] for key in ("disease", "people")} for _ in range(2)]
    if kind == "yesno":
        frames, answer = (YES, "yes") if number % 2 else (NO, "no")
        body = "Is {drug} effective against {disease}?"
        snippets = [fill(frame, slots) for frame in frames]
    elif kind == "factoid":
        body, answer = "Which gene causes {disease} in {people}?", [[slots["gene"]]]
        snippets = [fill("Mutations of {gene} cause {disease} in {people} from {place}.", slots)]
    else:
        names = list(dict.fromkeys(s["drug"] for s in (slots, *others)))
        body = "Which drugs are given for {disease} in {people}?"
        answer = [[name] for name in names]
        frame = "{drug} is given for {disease} in {people}."
        snippets = [fill(frame, s) for s in (slots, *others)]
    place = list(SPLITS).index(split) + 1
    pmid = f"http://www.ncbi.nlm.nih.gov/pubmed/{place}{number:03d}"
    body = fill(body, slots)
    return body, {
        "id": f"{place:020x}{number:04x}",
        "type": kind,
        "body": body,
        "documents": [pmid],
        "snippets": [{"text": text, "document": pmid} for text in dict.fromkeys(snippets)],
        "exact_answer": answer,
    }


def topics(number: int, rng: random.Random) -> tuple[str, dict]:
    """None to three topics; a sentence of none of them stands in each text."""
    labels = sorted(rng.sample(list(TOPICS), number % 4))
    slots = draw(rng)
    sentences = [fill(TOPICS[label], slots) for label in labels]
    sentences.insert(
        rng.randint(0, len(labels)), fill("{sign} was not uncommon among {people}.", slots)
    )
    text = " ".join(sentences)
    return text, {"id": f"{number:02d}", "text": text, "labels": labels}


def pair(number: int, rng: random.Random) -> tuple[str, tuple[str, str, float]]:
    score = list(PAIRS)[number % len(PAIRS)]
    slots = draw(rng)
    first, second = (fill(frame, slots) for frame in PAIRS[score])
    return first + second, (first, second, score)


def tagged(number: int, rng: random.Random) -> tuple[str, list[tuple[str, str]]]:
    frame, slots, words = TAGGED[number % len(TAGGED)], draw(rng), []
    for piece in frame.split():
        slot = piece.strip("{}")
        kind = TYPES.get(slot.rstrip("2")) if piece[0] == "{" else None
        for order, word in enumerate(slots[slot].split() if piece[0] == "{" else [piece]):
            label = f"{'I' if order else 'B'}-{kind}" if kind else "O"
            words.append((word[0].upper() + word[1:] if not words else word, label))
    return " ".join(word for word, _ in words), words


def main(folder: Path = SAMPLES) -> None:
    """Write every set's splits into `folder`."""
    seen: set[str] = set()
    for split, count in SPLITS.items():
        rng = random.Random(f"{SEED} {split}")
        lines = list(distinct(lambda n: relation(n, rng), count, seen))  # noqa: B023
        rows = ["\t".join(line) for line in lines]
        if split == "test":
            rows = ["index\tsentence\tlabel", *(f"{n}\t{row}" for n, row in enumerate(rows))]
        paragraphs = list(distinct(lambda n: paragraph(n, rng), count // 2, seen))  # noqa: B023
        for place in paragraphs:
            for qa in place["qas"]:
                qa["id"] = f"{split}-{qa['id']}"
        articles = [
            {"title": f"{split} study {n}", "paragraphs": paragraphs[n : n + 4]}
            for n in range(0, len(paragraphs), 4)
        ]
        questions = list(distinct(lambda n: bioasq(n, split, rng), count, seen))  # noqa: B023
        texts = list(distinct(lambda n: topics(n, rng), count, seen))  # noqa: B023
        mentions = list(distinct(lambda n: marked(n, rng), count, seen))  # noqa: B023
        pairs = list(distinct(lambda n: pair(n, rng), count, seen))  # noqa: B023
        sentences = list(distinct(lambda n: tagged(n, rng), count, seen))  # noqa: B023
        files = {
            f"relations/{split}.tsv": "".join(f"{row}\n" for row in rows),
            f"questions/{split}.json": to_json({"version": "1.1", "data": articles}),
            f"bioasq/{split}.json": to_json({"questions": questions}),
            f"topics/{split}.jsonl": "".join(f"{json.dumps(text)}\n" for text in texts),
            f"mentions/{split}.jsonl": "".join(f"{json.dumps(text)}\n" for text in mentions),
            f"pairs/{split}.tsv": "sentence1\tsentence2\tscore\n"
            + "".join(f"{a}\t{b}\t{score}\n" for a, b, score in pairs),
            f"entities/{split}.tsv": "".join(
                "".join(f"{word}\t{label}\n" for word, label in words) + "\n" for words in sentences
            ),
        }
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="\n")


def to_json(value: object) -> str:
    """Indented, so that a difference is a line."""
    return json.dumps(value, indent=1) + "\n"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
