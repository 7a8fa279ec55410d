"""Exact match and F1 of answers, as SQuAD's official `evaluate-v1.1.py` and `evaluate-v2.0.py`."""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Lower case, without ASCII punctuation and articles, white space made one."""
    text = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact(gold: str, predicted: str) -> float:
    """1 where both are the same when normalised."""
    return float(normalize_answer(gold) == normalize_answer(predicted))


def overlap(gold: str, predicted: str) -> float:
    """F1 of the normalised answers' words; of no answer, 1 where both are none."""
    one, other = normalize_answer(gold).split(), normalize_answer(predicted).split()
    if not one or not other:
        return float(one == other)
    common = sum((Counter(one) & Counter(other)).values())
    return 2 * common / (len(one) + len(other))


def per_question(
    gold: Mapping[str, Sequence[str]], predictions: Mapping[str, str]
) -> dict[str, tuple[float, float]]:
    """(exact match, F1) of each question: the best over its answers.

    Args:
      gold: of each id its answers; empty where "" is right (SQuAD 2.0).
      predictions: "" says that there is no answer; an id that is missing scores 0, as officially.
    """
    results = {}
    for id_, answers in gold.items():
        # The official script leaves out answers that normalise to nothing, if others do not.
        answers = [a for a in answers if normalize_answer(a)] or [""]
        if id_ not in predictions:
            results[id_] = (0.0, 0.0)
            continue
        predicted = predictions[id_]
        results[id_] = (
            max(exact(answer, predicted) for answer in answers),
            max(overlap(answer, predicted) for answer in answers),
        )
    return results


def score(gold: Mapping[str, Sequence[str]], predictions: Mapping[str, str]) -> dict[str, Any]:
    """exact_match, f1 and, where some questions have no answer, both for either kind.

    Args:
      gold, predictions: as `per_question` takes them.
    """
    results = per_question(gold, predictions)
    scores: dict[str, Any] = {**_means(list(results.values())), "num_questions": len(gold)}
    scores["num_missing"] = len(set(gold) - set(predictions))
    without = [id_ for id_, answers in gold.items() if not answers]
    if without:
        kinds = {
            "has_answer": [result for id_, result in results.items() if gold[id_]],
            "no_answer": [results[id_] for id_ in without],
        }
        for kind, found in kinds.items():
            scores |= {f"{kind}_{name}": value for name, value in _means(found).items()}
            scores[f"num_{kind}"] = len(found)
    return scores


def _means(results: Sequence[tuple[float, float]]) -> dict[str, float]:
    count = max(1, len(results))
    return {
        "exact_match": sum(result[0] for result in results) / count,
        "f1": sum(result[1] for result in results) / count,
    }
