"""The probability of an entity, and the temperature that makes it mean what it says.

An entity over words a … b is there where each of these words has the label that spells it, and the
word after does not go on with it. Its probability is the product of these, taken as independent:
p(label of a) … p(label of b) (1 - p(word b + 1 continues the type)); the last factor is not there
where the label of b ends an entity itself (IOBES, BILOU). Of five functions that were
compared on BC5CDR's chemicals (RESULTS.md) this one had the least calibration error, before and
after a temperature was fitted.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from biobert_jax.scoring.calibration import expected_calibration_error, reliability
from biobert_jax.scoring.conlleval import Chunk, chunks

# Temperatures that are tried, evenly in their logarithms.
_TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(8.0), 101))
# Labels that go on with an entity that a word before began, and those that end one.
_GOES_ON, _ENDS = ("I", "E", "L"), ("E", "L", "S", "U")


class Found(NamedTuple):
    """An entity of a sentence's words, with its probability, and that before calibration."""

    chunk: Chunk
    probability: float
    uncalibrated: float


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Of every label, from logits [..., labels]: float32."""
    scaled = logits / np.float32(temperature)
    exponentials = np.exp(scaled - scaled.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def find_entities(
    logits: np.ndarray, labels: Sequence[str], temperature: float = 1.0
) -> list[Found]:
    """The entities of a sentence, by its words' likeliest labels, with their probabilities.

    Args:
      logits: float32 [words, labels].
    """
    if not len(logits):
        return []
    raw = probabilities(logits)
    calibrated = raw if temperature == 1.0 else probabilities(logits, temperature)
    best = raw.argmax(-1)
    return [
        Found(chunk, _share(calibrated, labels, chunk), _share(raw, labels, chunk))
        for chunk in chunks([labels[index] for index in best])
    ]


def _share(chances: np.ndarray, labels: Sequence[str], chunk: Chunk) -> float:
    own = chances[chunk.start : chunk.end]
    share = float(np.prod(own.max(-1), dtype=np.float64))
    last = labels[int(own[-1].argmax())]
    if chunk.end < len(chances) and last.partition("-")[0] not in _ENDS:
        going = [i for i, name in enumerate(labels) if _goes_on(name, chunk.type)]
        share *= 1.0 - float(chances[chunk.end, going].sum())
    return min(1.0, max(0.0, share))


def fit_temperature(
    logits: Sequence[np.ndarray], gold: Sequence[Sequence[str]], labels: Sequence[str]
) -> float:
    """The temperature that gives the predicted entities the least log loss of being right.

    1 where there is no entity to learn it from. Which entities are predicted does not depend on it.
    """
    found = [find_entities(own, labels) for own in logits]
    right = np.array(
        [
            entity.chunk in set(chunks(sentence))
            for own, sentence in zip(found, gold, strict=True)
            for entity in own
        ],
        bool,
    )
    if not len(right):
        return 1.0
    shares_at = _shares_of(logits, found, labels)
    losses = []
    for temperature in _TEMPERATURES:
        shares = np.clip(shares_at(temperature), 1e-6, 1 - 1e-6)
        losses.append(-np.mean(np.where(right, np.log(shares), np.log(1 - shares))))
    return round(float(_TEMPERATURES[int(np.argmin(losses))]), 4)


def _shares_of(
    logits: Sequence[np.ndarray], found: Sequence[Sequence[Found]], labels: Sequence[str]
) -> Callable[[float], np.ndarray]:
    """A temperature to the probabilities of all entities, as `_share` gives them, all at once."""
    words = np.concatenate([own for own in logits if len(own)])
    first = np.cumsum([0, *map(len, logits)])
    starts, ends, types, follows = [], [], [], []
    best = words.argmax(-1)
    for offset, size, own in zip(first, map(len, logits), found, strict=False):
        for chunk, *_ in own:
            starts.append(offset + chunk.start)
            ends.append(offset + chunk.end)
            types.append(chunk.type)
            tag = labels[int(best[offset + chunk.end - 1])].partition("-")[0]
            follows.append(chunk.end < size and tag not in _ENDS)
    starts, ends, follows = np.array(starts), np.array(ends), np.array(follows, bool)
    going = {t: [i for i, name in enumerate(labels) if _goes_on(name, t)] for t in set(types)}
    of_type = {t: np.array([own == t for own in types]) & follows for t in going}

    def shares(temperature: float) -> np.ndarray:
        chances = probabilities(words, temperature)
        likeliest = np.log(np.maximum(chances.max(-1), 1e-30), dtype=np.float64)
        sums = np.concatenate([[0.0], np.cumsum(likeliest)])
        result = np.exp(sums[ends] - sums[starts])
        for type_, which in of_type.items():
            result[which] *= 1.0 - chances[ends[which]][:, going[type_]].sum(-1)
        return result

    return shares


def judged(
    logits: Sequence[np.ndarray],
    gold: Sequence[Sequence[str]],
    labels: Sequence[str],
    temperature: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Of all predicted entities the probability, float64 [E], and whether it is right, bool [E]."""
    shares, right = [], []
    for own, sentence in zip(logits, gold, strict=True):
        wanted = set(chunks(sentence))
        for found in find_entities(own, labels, temperature):
            shares.append(found.probability)
            right.append(found.chunk in wanted)
    return np.array(shares, np.float64), np.array(right, bool)


def precision_curve(shares: np.ndarray, right: np.ndarray, most: int = 50) -> list[list[float]]:
    """[probability, precision of the entities from it on] at up to `most` thresholds, rising.

    Args:
      shares, right: as `judged` gives them.
    """
    if not len(shares):
        return []
    order = np.argsort(-shares, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    # A threshold takes all entities of its probability.
    last = np.flatnonzero(np.append(np.diff(shares[order]) < 0, True))
    chosen = last[np.unique(np.linspace(0, len(last) - 1, most).astype(int))]
    rows = [[float(shares[order[i]]), float(precision[i])] for i in chosen]
    return [[round(x, 6) for x in row] for row in rows[::-1]]


def threshold_of(curve: Sequence[Sequence[float]], precision: float) -> float | None:
    """The least probability from which on entities were that precise; None where none is."""
    fitting = [share for share, found in curve if found >= precision]
    return min(fitting) if fitting else None


def calibration_table(
    found: Sequence[Sequence[Found]], gold: Sequence[Sequence[str]], temperature: float
) -> dict[str, Any]:
    """Expected calibration error of a file's entities before and after, and the bins after."""
    pairs = [
        (entity, entity.chunk in set(chunks(labels)))
        for own, labels in zip(found, gold, strict=True)
        for entity in own
    ]
    right = [is_right for _, is_right in pairs]
    before = [entity.uncalibrated for entity, _ in pairs]
    after = [entity.probability for entity, _ in pairs]
    return {
        "temperature": temperature,
        "ece_before": expected_calibration_error(before, right),
        "ece_after": expected_calibration_error(after, right),
        "bins": reliability(after, right),
    }


def _goes_on(label: str, type_: str) -> bool:
    tag, _, own = label.partition("-")
    return tag in _GOES_ON and own == type_
