"""Questions about passages: SQuAD's, and BioASQ's factoid and list questions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from jax import Array

from biobert_jax.config import ModelConfig
from biobert_jax.errors import UserError
from biobert_jax.model.heads import BertForQuestionAnswering, WeightedSum
from biobert_jax.scoring import bioasq, squad
from biobert_jax.tasks.answers import Answer, decode_answers
from biobert_jax.tasks.files.examples import Question
from biobert_jax.tasks.files.registry import read_examples
from biobert_jax.tasks.losses import span_losses
from biobert_jax.tasks.qa_results import (
    N_BEST,
    NULL_ODDS,
    PREDICTIONS,
    SUBMISSION,
    answers_by_question,
    card,
    gold_by_question,
    mistakes,
    report,
    write,
)
from biobert_jax.tasks.questions import answer_pieces, pack_questions
from biobert_jax.tasks.rows import NO_TARGET, Encoded
from biobert_jax.tasks.task import Setting, Task
from biobert_jax.units import plural


def read(path: Path, options: Mapping[str, Any]) -> list[Question]:
    """The questions of a file."""
    return read_examples(path, "qa", options["format"])


def labels(examples: Sequence[Question], options: Mapping[str, Any]) -> tuple[str, ...]:
    """None: the outputs are a start and an end.

    Raises:
      UserError: no passage has its answer.
    """
    if not any(start >= 0 for question in examples for start in question.starts):
        raise UserError("there is nothing to learn: no question's passage holds its answer")
    return ()


def encode(examples: Sequence[Question], setting: Setting, seed: int | None = None) -> Encoded:
    """Windows, with the answer's place in those that hold it whole, else [CLS]."""
    packed = pack_questions(examples, setting, seed)
    spans = np.full((len(packed.windows), 2), NO_TARGET, np.int32)
    pieces = [answer_pieces(q, p) for q, p in zip(examples, packed.passages, strict=True)]
    for place, window in enumerate(packed.windows):
        found, start = pieces[window.question], packed.rows.offsets[place]
        if found and window.first <= found[0] and found[1] < window.last:
            spans[place] = start + window.offset + np.array(found) - window.first
        elif found or (setting.options["no_answer"] and examples[window.question].is_impossible):
            spans[place] = start
    targets = {"spans": packed.rows.of_sequences(spans)} if examples else {}
    lost = sum(
        found is None and has_labels(question) and not question.is_impossible
        for found, question in zip(pieces, examples, strict=True)
    )
    notes = []
    if packed.num_cut:
        most = setting.options["max_query_length"]
        notes.append(f"{plural(packed.num_cut, 'question')} longer than {most} pieces: cut")
    if lost:
        notes.append(
            f"{plural(lost, 'question')} of {len(examples):,} without the answer in the passage: "
            "nothing is learnt from such"
        )
    return Encoded(packed.rows, {}, targets, packed, tuple(notes))


def build(config: ModelConfig, setting: Setting, rngs: nnx.Rngs) -> nnx.Module:
    """BERT with scores of starts and ends."""
    return BertForQuestionAnswering(config, rngs=rngs)


def losses(
    model: nnx.Module, inputs: Mapping[str, Array], setting: Setting
) -> dict[str, WeightedSum]:
    """Cross-entropy of starts and ends within each window."""
    logits = _logits(model, inputs, inputs["seeds"])
    return span_losses(logits, inputs["sequence_ids"], inputs["spans"])


def outputs(model: nnx.Module, inputs: Mapping[str, Array]) -> Array:
    """Logits [B, L, 2]."""
    return _logits(model, inputs)


def decode(
    outputs: np.ndarray | None, encoded: Encoded, examples: Sequence[Question], setting: Setting
) -> list[Answer]:
    """An answer a question and passage."""
    if outputs is None:
        return []
    options = setting.options
    return decode_answers(
        outputs,
        encoded.index,
        examples,
        n_best=options["n_best"],
        max_answer_length=options["max_answer_length"],
        no_answer=options["no_answer"],
        threshold=options.get("null_threshold", 0.0),
    )


def has_labels(question: Question) -> bool:
    """Whether its answer, or that there is none, is known."""
    return bool(question.answers or question.synonyms) or question.is_impossible is True


def score(
    examples: Sequence[Question], predictions: Sequence[Answer], setting: Setting
) -> dict[str, Any]:
    """SQuAD's measures, or BioASQ's of factoid or list questions, by `answer_kind`."""
    kind = setting.options["answer_kind"]
    if kind == "span":
        gold = {q.id: [] if q.is_impossible else list(q.answers) for q in examples}
        found = {q.id: answer.text for q, answer in zip(examples, predictions, strict=True)}
        scores = squad.score(gold, found)
        right = {id_ for id_, one in squad.per_question(gold, found).items() if one[1] > 0}
        return scores | {"mistakes": mistakes(examples, predictions, right)}
    things = gold_by_question(examples)
    joined = answers_by_question(examples, predictions, setting)
    texts = {id_: [c.text for c in found] for id_, found in joined.items()}
    return (bioasq.score_factoid if kind == "factoid" else bioasq.score_list)(things, texts)


def calibrate(
    outputs: np.ndarray, encoded: Encoded, examples: Sequence[Question], setting: Setting
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The threshold of no answer that gives the held-out file's best F1."""
    if not setting.options["no_answer"]:
        return {}, {}
    answers = decode(outputs, encoded, examples, setting)
    gold = {q.id: [] if q.is_impossible else list(q.answers) for q in examples}
    best = {
        q.id: next((c.text for c in a.n_best if c.text), "")
        for q, a in zip(examples, answers, strict=True)
    }
    said = squad.per_question(gold, best)
    odds = np.array([a.null_odds for a in answers])
    with_answer = np.array([said[q.id][1] for q in examples])
    with_none = np.array([float(not gold[q.id]) for q in examples])
    order = np.argsort(odds, kind="stable")
    # Below the threshold the answer counts, above it that there is none.
    totals = np.concatenate([[0], np.cumsum((with_answer - with_none)[order])]) + with_none.sum()
    place = int(totals.argmax())
    threshold = float(odds[order[place - 1]]) if place else float(odds.min()) - 1.0
    f1 = float(totals[place]) / max(1, len(examples))
    return {"null_threshold": threshold}, {"null_threshold": threshold, "f1_at_threshold": f1}


def _logits(model: nnx.Module, inputs: Mapping[str, Array], seeds: Array | None = None) -> Array:
    names = ("input_ids", "sequence_ids", "token_type_ids")
    return model(*(inputs[name] for name in names), seeds=seeds)


TASK = Task(
    name="qa",
    unit="question",
    keys=(
        *("answer_kind", "stride", "max_query_length", "max_answer_length", "n_best"),
        *("no_answer", "list_threshold"),
    ),
    main_score=lambda options: "mrr" if options["answer_kind"] == "factoid" else "f1",
    read=read,
    labels=labels,
    encode=encode,
    build=build,
    losses=losses,
    outputs=outputs,
    decode=decode,
    has_labels=has_labels,
    score=score,
    report=report,
    write=write,
    files=(PREDICTIONS, N_BEST, NULL_ODDS, SUBMISSION),
    card=card,
    calibrate=calibrate,
)
