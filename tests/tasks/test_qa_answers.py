"""Answers from scores of starts and ends, held against upstream's and SQuAD's own loops."""

import collections
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.tasks.answers import (
    Candidate,
    best_threshold,
    decode_answers,
    join_passages,
    listed,
    number_asked,
)
from biobert_jax.tasks.files.examples import Question
from biobert_jax.tasks.questions import most_context, pack_questions
from tests.tasks.test_qa_windows import question, setting, tokenizer  # noqa: F401

ALPHABET = st.sampled_from("abp53 x y\u0301é漢字\u00ad\u200b\t\n\u3000ß𝛽🧬(),.-EGFR")
CONTEXTS = st.lists(st.text(ALPHABET, max_size=12), max_size=30).map(" ".join)


def decoded(logits, packed, questions, **options):
    defaults = {"n_best": 20, "max_answer_length": 30, "no_answer": False, "threshold": 0.0}
    return decode_answers(logits, packed, questions, **(defaults | options))


def gold_logits(packed):
    """What a model that knows the answers would say."""
    logits = np.zeros((*packed.rows.input_ids.shape, 2), np.float32)
    for row, spans in enumerate(packed.targets()):
        for first, last in spans[spans[:, 0] >= 0]:
            logits[row, first, 0] = logits[row, last, 1] = 9.0
    return logits


@settings(max_examples=300)
@given(context=CONTEXTS, data=st.data())
def test_the_right_answer_comes_back_from_its_places(tokenizer, context, data):  # noqa: F811
    start = data.draw(st.integers(0, len(context)))
    end = data.draw(st.integers(start, min(len(context), start + 20)))
    answer = context[start:end]
    asked = [Question("0", "which gene ?", context, (answer,), (start,))]
    packed = pack_questions(asked, setting(tokenizer, 48))
    [found] = decoded(gold_logits(packed), packed, asked)
    words = [w for w in tokenizer.words(context) if w.end > start and w.start < end and answer]
    best = found.n_best[0]
    assert best.text == found.text == context[best.start : best.end]
    if words and sum(len(word.ids) for word in words) <= 20:
        # The words that the answer touches, and so itself where it is made of words.
        assert (best.start, best.end) == (words[0].start, words[-1].end)
        if (start, end) == (words[0].start, words[-1].end):
            assert found.text == answer


def upstream_n_best(windows, logits, text_of, n_best, max_answer_length, v2):
    """write_predictions of run_squad.py; `logits` of each window, [CLS] first, then pieces."""
    Prelim = collections.namedtuple("Prelim", "window start end start_logit end_logit")
    owned = most_context(windows)
    prelim, null_score, null = [], 1e6, None
    for number, (window, scores) in enumerate(zip(windows, logits, strict=True)):
        starts = sorted(range(len(scores)), key=lambda i: -scores[i, 0])[:n_best]
        ends = sorted(range(len(scores)), key=lambda i: -scores[i, 1])[:n_best]
        if v2 and scores[0].sum() < null_score:
            null_score, null = scores[0].sum(), scores[0]
        size = window.last - window.first
        for i in starts:
            for j in ends:
                s, e = i - window.offset, j - window.offset
                if not (0 <= s < size and 0 <= e < size) or not owned[number][s]:
                    continue
                if e < s or e - s + 1 > max_answer_length:
                    continue
                prelim.append(Prelim(number, s, e, scores[i, 0], scores[j, 1]))
    if v2:
        prelim.append(Prelim(-1, 0, 0, *null))
    prelim.sort(key=lambda p: -(p.start_logit + p.end_logit))
    seen, found = set(), []
    for p in prelim:
        if len(found) >= n_best:
            break
        text = text_of(windows[p.window], p.start, p.end) if p.window >= 0 else ""
        if text not in seen:
            seen.add(text)
            found.append((text, float(p.start_logit), float(p.end_logit)))
    if v2 and "" not in seen:
        found.append(("", *map(float, null)))
    scores = np.array([s + e for _, s, e in found])
    shares = np.exp(scores - scores.max())
    return [(*one, share) for one, share in zip(found, shares / shares.sum(), strict=True)]


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 8), st.booleans())
def test_n_best_lists_are_upstreams(tokenizer, seed, size, longest, v2):  # noqa: F811
    rng = np.random.default_rng(seed)
    context = " ".join(rng.choice("the a p53 EGFR gene cancer x y z".split(), size))
    asked = [question(context), question("p53 is here", name="1")]
    packed = pack_questions(asked, setting(tokenizer, 32, stride=9))
    rows = packed.rows
    logits = rng.normal(0, 3, (*rows.input_ids.shape, 2)).astype(np.float32)
    # So many that question and passage have no more: upstream's best starts may be in the question.
    n_best = 40
    answers = decoded(logits, packed, asked, n_best=n_best, max_answer_length=longest, no_answer=v2)
    for number, answer in enumerate(answers):
        own = [i for i, w in enumerate(packed.windows) if w.question == number]
        windows = [packed.windows[i] for i in own]
        passage, text = packed.passages[number], asked[number].context

        def text_of(window, start, end, passage=passage, text=text):
            first, last = window.first + start, window.first + end
            return text[passage.starts[first] : passage.ends[last]]

        parts = [logits[rows.places[i], rows.offsets[i] :][: rows_length(packed, i)] for i in own]
        expected = upstream_n_best(windows, parts, text_of, n_best, longest, v2)
        found = [(c.text, c.start_logit, c.end_logit, c.probability) for c in answer.n_best]
        assert [one[0] for one in found] == [one[0] for one in expected]
        assert np.allclose([o[1:] for o in found], [o[1:] for o in expected], atol=1e-5)
        best = next(one for one in expected if one[0])
        if v2:
            null = min(float(part[0].sum()) for part in parts)
            assert answer.null_odds == pytest.approx(null - best[1] - best[2], abs=1e-4)
            assert answer.text == ("" if answer.null_odds > 0 else best[0])
        else:
            assert answer.text == best[0]


def rows_length(packed, sequence):
    window = packed.windows[sequence]
    return window.offset + window.last - window.first


def test_a_passage_without_words_is_answered_by_nothing(tokenizer):  # noqa: F811
    asked = [question("\u00ad"), question("p53 is here", name="1")]
    packed = pack_questions(asked, setting(tokenizer))
    logits = np.ones((*packed.rows.input_ids.shape, 2), np.float32)
    for no_answer in (False, True):
        nothing, something = decoded(logits, packed, asked, no_answer=no_answer, threshold=2.0)
        assert nothing.text == "" and nothing.n_best[0].probability == 1
        assert json.loads(json.dumps(nothing.null_odds)) > 1e5
        assert something.text


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4), st.booleans()), min_size=1))
def test_the_threshold_is_the_best_there_is(rows):
    odds = np.array([row[0] for row in rows], float)
    # As SQuAD has it: a question without an answer scores 1 by none, and 0 by any.
    with_none = np.array([float(row[2]) for row in rows])
    with_answer = np.array([0.0 if row[2] else row[1] / 4 for row in rows])

    def mean(threshold):
        return np.where(odds > threshold, with_none, with_answer).mean()

    threshold, best = best_threshold(odds, with_answer, with_none)
    assert mean(threshold) == pytest.approx(best)
    assert best == pytest.approx(max(map(mean, np.arange(-5, 5, 0.5))))


def candidate(text, probability):
    return Candidate(text, 0, len(text), 0.0, 0.0, probability)


def test_passages_are_joined_with_probabilities_added():
    asked = [Question(f"q_{n}", "", "", group="q") for n in range(3)] + [Question("r", "", "")]
    lists = [
        [candidate("EGFR", 0.6), candidate("", 0.4)],
        [candidate("p53", 0.7), candidate("egfr", 0.3), candidate("x" * 101, 0.2)],
        [candidate("egfr", 0.2)],
        [candidate("alone", 1.0)],
    ]
    joined = join_passages(asked, lists)
    found = {id_: [(c.text, round(c.probability, 6)) for c in one] for id_, one in joined.items()}
    assert found == {"q": [("EGFR", 1.1), ("p53", 0.7)], "r": [("alone", 1.0)]}


def test_biobert_s_own_lists_give_its_submission(shared_data):
    folder = shared_data / "oracle/bioasq"
    lists = json.loads((folder / "nbest_predictions.json").read_text())
    form = json.loads((folder / "BioASQform_BioASQ-answer.json").read_text())["questions"]
    asked = [Question(id_, "", "", group=id_.split("_")[0]) for id_ in lists]
    joined = join_passages(
        asked, [[candidate(c["text"], c["probability"]) for c in one] for one in lists.values()]
    )
    ours = {id_: [[c.text] for c in found[:5]] for id_, found in joined.items()}
    assert len(ours) == 31
    assert ours == {question["id"]: question["exact_answer"] for question in form}


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("List two common features of Tay syndrome.", 2),
        ("Which are the 3 basic transcription factors used for reprogramming?", 3),
        ("Name five popular computer programs", 5),
        ("Which two catechol-O-methyl transferase (COMT) inhibitors can be used?", 2),
        ("Tumors of which three organs are associated with MEN type 1?", 3),
        ("Which drugs treat type 2 diabetes?", None),
        ("Which plant DNA (cytosine-5) methyltransferases are there?", None),
        ("What can be evaluated with the Ten Item Personality Inventory?", None),
        ("Which variables are in the SPAN-100 score?", None),
    ],
)
def test_numbers_that_a_list_question_asks_for(words, number):
    assert number_asked(words) == number


def test_a_list_is_what_is_likely_or_what_was_asked_for():
    found = [candidate("a", 0.9), candidate("b", 0.5), candidate("c", 0.1)]
    joined = {"two": found, "any": found, "weak": found[2:], "none": []}
    asked = {"two": "List 2 genes", "any": "Which genes?", "weak": "Which?", "none": "Which?"}
    names = {id_: [c.text for c in one] for id_, one in listed(joined, asked, 0.42).items()}
    assert names == {"two": ["a", "b"], "any": ["a", "b"], "weak": ["c"], "none": []}
    assert [c.text for c in listed({"two": found}, {"two": "List 3 genes"}, 0.42)["two"]] == [
        *"abc"
    ]
