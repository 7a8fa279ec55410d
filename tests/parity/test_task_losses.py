"""What tasks learn by: losses and gradients of transformers' task models on the same examples.

Ours stand packed in one row, theirs are a row each, padded. Weights are random, dropout is off.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from biobert_jax.checkpoints import huggingface
from biobert_jax.config import ModelConfig
from biobert_jax.config_finetuning import FinetuneDataConfig
from biobert_jax.corpus.text.tokenization import SPECIAL_NAMES
from biobert_jax.tasks.files.examples import Question, Sentence, TextExample
from biobert_jax.tasks.forward import model_of, task_inputs, task_losses
from biobert_jax.tasks.task import Setting, options_of, task_of
from tests.checkpoints.tiny import tiny_tokenizer

pytestmark = pytest.mark.torch

# A word is a piece, so that places can be counted in words.
WORDS = [f"w{i}" for i in range(60)]
MODEL = ModelConfig(
    vocab_size=len(SPECIAL_NAMES) + len(WORDS),
    hidden_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=96,
    max_position_embeddings=128,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
LENGTH, IGNORED = 128, -100
# Name: task, keys of `data`, their model, its config.
CASES = {
    "labels of words": ("ner", {}, "BertForTokenClassification", {"num_labels": 3}),
    "classes": (
        "classification",
        {},
        *("BertForSequenceClassification", {"num_labels": 3}),
    ),
    "weighted classes": (
        "classification",
        {"class_weights": "balanced"},
        *("BertForSequenceClassification", {"num_labels": 3}),
    ),
    "several labels": (
        "classification",
        {"kind": "multi_label"},
        "BertForSequenceClassification",
        {"num_labels": 3, "problem_type": "multi_label_classification"},
    ),
    "weighted several labels": (
        "classification",
        {"kind": "multi_label", "class_weights": "balanced"},
        "BertForSequenceClassification",
        {"num_labels": 3, "problem_type": "multi_label_classification"},
    ),
    "numbers": (
        "classification",
        {"kind": "regression"},
        *("BertForSequenceClassification", {"num_labels": 1, "problem_type": "regression"}),
    ),
    "spans": ("qa", {}, "BertForQuestionAnswering", {}),
}
# What the classes' examples are labelled with; the last is not in any text.
CLASSES = [("b",), ("a",), ("a",), ("c",), ("a",)]
SETS = [("a", "c"), (), ("b",), ("a", "b"), ("c",)]
NUMBERS = [0.5, 3.0, -1.0, 2.0, 2.5]


def words(*counts):
    draw = np.random.default_rng(0)
    return [tuple(draw.choice(WORDS, count).tolist()) for count in counts]


def examples_of(task, options):
    """Five examples of different lengths, together shorter than a row."""
    firsts, seconds = words(9, 4, 12, 6, 15), words(5, 8, 3, 11, 7)
    if task == "ner":
        tags = ("O", "B-x", "I-x")
        return [Sentence(own, tuple(tags[i % 3] for i in range(len(own)))) for own in firsts]
    texts = [(" ".join(a), " ".join(b)) for a, b in zip(firsts, seconds, strict=True)]
    if task == "qa":
        # The answer is the second and third word of the passage.
        answers = [" ".join(own[1:3]) for own in seconds]
        return [
            Question(str(i), a, b, (answer,), (len(b.split()[0]) + 1,))
            for i, ((a, b), answer) in enumerate(zip(texts, answers, strict=True))
        ]
    found = [TextExample(str(i), a, b) for i, (a, b) in enumerate(texts)]
    if options["kind"] == "regression":
        return [dataclasses.replace(e, value=x) for e, x in zip(found, NUMBERS, strict=True)]
    labels = CLASSES if options["kind"] == "single" else SETS
    return [dataclasses.replace(e, labels=x) for e, x in zip(found, labels, strict=True)]


def their_loss(name, model, setting, examples, ids, types):
    """A scalar; `ids` and `types` are lists, one a sequence."""
    import torch

    width = max(map(len, ids))
    batch = {
        "input_ids": [[*own, *[0] * (width - len(own))] for own in ids],
        "attention_mask": [[1] * len(own) + [0] * (width - len(own)) for own in ids],
        "token_type_ids": [[*own, *[0] * (width - len(own))] for own in types],
    }
    batch = {key: torch.tensor(rows) for key, rows in batch.items()}
    task, options = CASES[name][0], setting.options
    if task == "ner":
        labels = [[setting.labels.index(label) for label in e.labels] for e in examples]
        rows = [[IGNORED, *own, *[IGNORED] * (width - 1 - len(own))] for own in labels]
        return model(**batch, labels=torch.tensor(rows)).loss
    if task == "qa":
        # Theirs seeks an answer in the padding too, which a packed row has not: one at a time.
        losses = []
        for number, (example, own) in enumerate(zip(examples, ids, strict=True)):
            one = {key: rows[number : number + 1, : len(own)] for key, rows in batch.items()}
            start = torch.tensor([len(example.question.split()) + 2 + 1])
            losses.append(model(**one, start_positions=start, end_positions=start + 1).loss)
        return torch.stack(losses).mean()
    if options["kind"] == "regression":
        values = (torch.tensor(NUMBERS) - np.mean(NUMBERS)) / np.std(NUMBERS)
        return model(**batch, labels=values.float()).loss
    weights = torch.tensor(options["weights"]) if "weights" in options else None
    if options["kind"] == "single":
        labels = torch.tensor([setting.labels.index(own) for (own,) in CLASSES])
        if weights is None:
            return model(**batch, labels=labels).loss
        return torch.nn.functional.cross_entropy(model(**batch).logits, labels, weights)
    labels = torch.tensor([[float(x in own) for x in setting.labels] for own in SETS])
    if weights is None:
        return model(**batch, labels=labels).loss
    # Torch divides by the number of labels, ours by what they weigh.
    total = torch.nn.functional.binary_cross_entropy_with_logits(
        model(**batch).logits, labels, pos_weight=weights, reduction="sum"
    )
    return total / torch.where(labels > 0, weights, 1.0).sum()


@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_are_transformers(name, tmp_path):
    import torch
    import transformers

    kind, keys, their_class, their_config = CASES[name]
    task = task_of(kind)
    options = options_of(task, FinetuneDataConfig(max_seq_length=LENGTH, **keys))
    examples = examples_of(kind, options)
    labels = task.labels(examples, options)
    options = task.fit_options(examples, options, labels)
    assert ("weights" in options) == ("weighted" in name)
    tokenizer = tiny_tokenizer(tmp_path, [*SPECIAL_NAMES, *WORDS])
    setting = Setting(labels, options, tokenizer, LENGTH)
    rows = task.encode(examples, setting, 0).rows
    assert len(rows) == 1, "one row holds all"

    graph, create = model_of(task, MODEL, setting, 3)
    # Larger than at initialisation, so that every nonlinearity is exercised.
    params = jax.tree.map(
        lambda x: x * 3 + 0.01 * jnp.cos(jnp.arange(x.size).reshape(x.shape)), create()
    )
    batch = task.encode(examples, setting, 0).arrays(with_targets=True)
    inputs = task_inputs(batch, jax.random.key(0))

    @jax.jit
    @jax.value_and_grad
    def loss(params):
        [found] = [
            x for n, x in task_losses(task, setting, graph, params, inputs).items() if "loss" in n
        ]
        return found.mean()

    value, grads = loss(params)

    sizes = {field: getattr(MODEL, field) for field in huggingface.SHARED_FIELDS}
    config = transformers.BertConfig(**sizes, **their_config, attn_implementation="eager")
    theirs = getattr(transformers, their_class)(config).eval()
    state = {key: torch.tensor(x) for key, x in huggingface.to_huggingface(params).items()}
    result = theirs.load_state_dict(state, strict=False)
    assert not result.unexpected_keys
    assert all("position_ids" in key for key in result.missing_keys)
    # In the order of the examples, wherever in the row each one stands.
    places = [rows.sequence_ids[0] == number + 1 for number in rows.numbers]
    ids = [rows.input_ids[0, place].tolist() for place in places]
    types = [[0] * len(own) for own in ids]
    if rows.token_type_ids is not None:
        types = [rows.token_type_ids[0, place].tolist() for place in places]
    expected = their_loss(name, theirs, setting, examples, ids, types)
    expected.backward()
    assert float(value) == pytest.approx(expected.item(), rel=1e-4)

    their_grads = {n: p.grad.numpy() for n, p in theirs.named_parameters() if p.grad is not None}
    ours = huggingface.to_huggingface(grads)
    assert set(their_grads) == set(ours)
    # What is added to all of a softmax has no gradient but rounding: the keys' biases, and all that
    # shifts the scores of every position. There the largest gradient of all is the measure.
    shifts = ("qa_outputs.bias", "bert.encoder.layer.1.output.LayerNorm.bias")
    top = max(float(np.abs(g).max()) for g in their_grads.values())
    for path, gradient in their_grads.items():
        ignored = path.endswith("self.key.bias") or (kind == "qa" and path in shifts)
        scale = top if ignored else np.abs(gradient).max()
        assert np.abs(ours[path] - gradient).max() / scale < 1e-4, path
