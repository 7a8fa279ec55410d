"""BioASQ's measures of phase B's exact answers (Tsatsaronis et al. 2015; its own evaluator).

Of each thing asked for, gold answers give all names (synonyms); an answer is right where it is one
of them, whatever the case.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from biobert_jax.scoring.classification import ratio
from biobert_jax.scoring.classification import score as score_classes

# Of a factoid answer, so many are looked at.
MOST_ANSWERS = 5
Synonyms = Sequence[Sequence[str]]


def score_factoid(
    gold: Mapping[str, Synonyms], answers: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """strict_accuracy (the first answer is right), lenient_accuracy (one of five is), mrr.

    Args:
      gold: of each question's id what is asked for, each with all its names.
      answers: of each id its answers, best first. A question that is not there counts as wrong:
        leave it out of `gold` to leave it out.
    """
    ranks = []
    for id_, things in gold.items():
        names = {_folded(name) for thing in things for name in thing}
        given = [_folded(answer) for answer in answers.get(id_, ())][:MOST_ANSWERS]
        ranks.append(next((r for r, answer in enumerate(given, 1) if answer in names), 0))
    count = len(ranks)
    return {
        "strict_accuracy": ratio(ranks.count(1), count),
        "lenient_accuracy": ratio(sum(rank > 0 for rank in ranks), count),
        "mrr": ratio(sum(1 / rank for rank in ranks if rank), count),
        "num_questions": count,
    }


def score_list(
    gold: Mapping[str, Synonyms], answers: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """precision, recall and f1, each the mean of the questions' own.

    Of several answers that name one thing, one is right and the others are wrong.
    """
    each = []
    for id_, things in gold.items():
        names = [{_folded(name) for name in thing} for thing in things]
        given = [_folded(answer) for answer in answers.get(id_, ())]
        left, right = list(names), 0
        for answer in given:
            found = next((thing for thing in left if answer in thing), None)
            if found is not None:
                left.remove(found)
                right += 1
        precision, recall = ratio(right, len(given)), ratio(right, len(names))
        each.append((precision, recall, ratio(2 * precision * recall, precision + recall)))
    means = [ratio(sum(one[i] for one in each), len(each)) for i in range(3)]
    scores: dict[str, Any] = dict(zip(("precision", "recall", "f1"), means, strict=True))
    return scores | {"num_questions": len(each)}


def score_yesno(gold: Mapping[str, str], answers: Mapping[str, str]) -> dict[str, Any]:
    """accuracy, macro_f1, and F1 of yes and of no; without an answer a question is wrong."""
    labels = [_folded(label) for label in gold.values()]
    given = [_folded(answers[id_]) if id_ in answers else "" for id_ in gold]
    scores = score_classes(labels, given, ("no", "yes"), excluded=("",) if "" in given else ())
    return {
        "accuracy": scores["accuracy"],
        "macro_f1": scores["macro_f1"],
        "yes_f1": scores["by_label"]["yes"]["f1"],
        "no_f1": scores["by_label"]["no"]["f1"],
        "num_questions": len(gold),
    }


def _folded(text: str) -> str:
    return " ".join(text.split()).lower()
