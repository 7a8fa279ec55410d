"""Questions packed many a row are answered and learnt from as if each stood alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from biobert_jax.config import ModelConfig
from biobert_jax.tasks import qa
from biobert_jax.tasks.forward import model_of, outputs_of, task_losses
from tests.tasks.test_qa_windows import question, setting, tokenizer  # noqa: F401

LENGTH = 48
# Each has words of its own beside those of the question, which is one for all.
ASKED = [
    question("p53 causes cancer .", "p53", name="0"),
    question("EGFR EGFR EGFR of the EGFR the", "of the", name="1"),
    question("x y ( x ) y x", "( x )", name="2"),
    question("z , z - z z", "-", name="3"),
]


@pytest.fixture(scope="module")
def model(tokenizer):  # noqa: F811
    """A small model's graph and parameters."""
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=LENGTH,
        initializer_range=0.3,
    )
    graph, create = model_of(qa.TASK, config, setting(tokenizer), 0)
    return graph, jax.jit(create)()


def arrays(encoded):
    return {name: jnp.asarray(a) for name, a in encoded.arrays(with_targets=True).items()}


@pytest.fixture(scope="module")
def packed(tokenizer):  # noqa: F811
    encoded = qa.encode(ASKED, setting(tokenizer, LENGTH), 0)
    assert len(encoded.rows) == 1
    return encoded


def test_outputs_losses_and_answers_are_those_of_each_alone(model, packed, tokenizer):  # noqa: F811
    graph, params = model
    outputs = outputs_of(qa.TASK, graph)
    together = np.asarray(outputs(params, arrays(packed)))
    sums = []
    answers = qa.decode(together, packed, ASKED, setting(tokenizer, LENGTH))
    for number, one in enumerate(ASKED):
        alone = qa.encode([one], setting(tokenizer, LENGTH), 0)
        logits = np.asarray(outputs(params, arrays(alone)))
        size = np.count_nonzero(alone.rows.sequence_ids)
        start = packed.rows.offsets[number]
        own = together[packed.rows.places[number], start : start + size]
        np.testing.assert_allclose(own, logits[0, :size], atol=1e-5)
        # Upstream's loss of a row: the mean of two cross-entropies over its own positions.
        first, last = alone.targets["spans"][0, 0]
        sums.append(
            optax.softmax_cross_entropy_with_integer_labels(
                logits[0, :size].T, np.array([first, last])
            ).mean()
        )
        [answer] = qa.decode(logits, alone, [one], setting(tokenizer, LENGTH))
        assert [c.text for c in answer.n_best] == [c.text for c in answers[number].n_best]
    inputs = {**arrays(packed), "seeds": None}
    loss = task_losses(qa.TASK, setting(tokenizer), graph, params, inputs)["span_loss"]
    assert float(loss.weight) == len(ASKED)
    assert float(loss.total) == pytest.approx(float(sum(sums)), rel=1e-5)


def test_no_question_learns_from_another(model, packed, tokenizer):  # noqa: F811
    graph, params = model

    def loss(params, spans):
        inputs = {**arrays(packed), "seeds": None, "spans": spans}
        return task_losses(qa.TASK, setting(tokenizer), graph, params, inputs)["span_loss"].total

    gradient_of = jax.jit(jax.grad(loss))
    words = [set(tokenizer.encode(one.context).tolist()) for one in ASKED]
    shared = set(tokenizer.encode(ASKED[0].question).tolist())
    for number in range(len(ASKED)):
        place = packed.rows.numbers[number]
        spans = jnp.full_like(packed.targets["spans"], -1)
        spans = spans.at[0, place].set(packed.targets["spans"][0, place])
        gradient = gradient_of(params, spans)
        table = np.asarray(gradient["bert"]["embeddings"]["word_embeddings"]["embedding"])
        others = set.union(*(w for n, w in enumerate(words) if n != number)) - words[number]
        others = sorted(others - shared)
        assert others and not table[others].any()
        assert all(table[word].any() for word in words[number])
