"""Questions about passages: SQuAD's, and BioASQ's factoid and list questions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from jax import Array

from biobert_jax.config import ModelConfig
from biobert_jax.errors import UserError
from biobert_jax.formats.faults import Fault, ignore
from biobert_jax.model.heads import BertForQuestionAnswering, WeightedSum
from biobert_jax.scoring import bioasq, squad
from biobert_jax.tasks.answers import Answer, best_threshold, decode_answers
from biobert_jax.tasks.files.bioasq import of_kind
from biobert_jax.tasks.files.examples import Question
from biobert_jax.tasks.files.registry import read_examples
from biobert_jax.tasks.losses import span_losses
from biobert_jax.tasks.qa_results import (
    N_BEST,
    NULL_ODDS,
    PREDICTIONS,
    SUBMISSION,
    card,
    gold_by_question,
    gold_spans,
    joined_answers,
    mistakes,
    report,
    right_factoids,
    write,
)
from biobert_jax.tasks.questions import QuestionRows, pack_questions
from biobert_jax.tasks.rows import Encoded
from biobert_jax.tasks.task import Setting, Task
from biobert_jax.units import plural


def read(path: Path, options: Mapping[str, Any], note: Fault = ignore) -> list[Question]:
    """The questions of a file, of BioASQ's those of `answer_kind`; the others are noted.

    Raises:
      UserError: as the format's reader; or none is of that kind.
    """
    questions = read_examples(path, "qa", options["format"], note=note)
    wanted = options["answer_kind"]
    return questions if wanted == "span" else of_kind(wanted, questions, path, note)


def labels(examples: Sequence[Question], options: Mapping[str, Any]) -> tuple[str, ...]:
    """None: the outputs are a start and an end.

    Raises:
      UserError: no passage holds its answer.
    """
    if not any(start >= 0 for question in examples for start in question.starts):
        raise UserError("there is nothing to learn: no question's passage holds its answer")
    return ()


def encode(examples: Sequence[Question], setting: Setting, seed: int | None = None) -> Encoded:
    """Windows, with the answer's place in those that hold it whole, else [CLS]; with a seed, that
    is for training, without the passages that do not hold their answer.
    """
    packed = pack_questions(examples, setting, seed)
    return Encoded(packed.rows, {}, {"spans": packed.targets()}, packed, _notes(packed, seed))


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
        gold = gold_spans(examples)
        found = {q.id: a.text for q, a in zip(examples, predictions, strict=True)}
        scores = squad.score(gold, found)
        right = {id_ for id_, (_, f1) in squad.per_question(gold, found).items() if f1 > 0}
    else:
        things = gold_by_question(examples)
        joined = joined_answers(examples, predictions, setting)
        texts = {id_: [c.text for c in found] for id_, found in joined.items()}
        scores = (bioasq.score_factoid if kind == "factoid" else bioasq.score_list)(things, texts)
        right = right_factoids(things, examples, predictions)
    return scores | {"mistakes": mistakes(examples, predictions, right)}


def calibrate(
    outputs: np.ndarray, encoded: Encoded, examples: Sequence[Question], setting: Setting
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The threshold of no answer that gives the held-out file's best F1."""
    if not setting.options["no_answer"]:
        return {}, {}
    answers = decode(outputs, encoded, examples, setting)
    gold = gold_spans(examples)
    best = {
        q.id: next((c.text for c in answer.n_best if c.text), "")
        for q, answer in zip(examples, answers, strict=True)
    }
    by_id = squad.per_question(gold, best)
    threshold, f1 = best_threshold(
        np.array([answer.null_odds for answer in answers]),
        np.array([by_id[q.id][1] for q in examples]),
        np.array([float(not gold[q.id]) for q in examples]),
    )
    return {"null_threshold": threshold}, {"null_threshold": threshold, "best_f1": f1}


def _notes(packed: QuestionRows, seed: int | None) -> tuple[str, ...]:
    """What is not as the files have it."""
    notes = []
    if packed.num_cut:
        notes.append(f"{plural(packed.num_cut, 'question')} longer than max_query_length: cut")
    if seed is not None and (lost := packed.without):
        notes.append(
            f"{len(lost):,} of {plural(len(packed.passages), 'question')} without the answer in "
            f"the passage: not trained on; the first is {lost[0].where or lost[0].id}"
        )
    return tuple(notes)


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
    sample=Question("0", "Which?", "Aspirin", ("Aspirin",), (0,)),
)
