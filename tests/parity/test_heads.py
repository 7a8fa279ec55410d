"""Heads of transformers' task models, read and written: the same logits, both ways."""

import dataclasses

import jax
import numpy as np
import pytest

from biobert_jax.checkpoints import huggingface
from biobert_jax.checkpoints.load import fit_params, load_checkpoint
from biobert_jax.checkpoints.tree import flatten
from biobert_jax.config import ModelConfig
from biobert_jax.config_finetuning import FinetuneDataConfig
from biobert_jax.tasks.forward import model_of, outputs_of
from biobert_jax.tasks.task import Setting, options_of, task_of
from tests.checkpoints.tiny import tiny_tokenizer

pytestmark = pytest.mark.torch

SPECIAL_ROWS = 96
MODEL = ModelConfig(
    vocab_size=SPECIAL_ROWS,
    hidden_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=96,
    max_position_embeddings=32,
)
HEADS = {
    "BertForTokenClassification": ("ner", {"id2label": {0: "O", 1: "B-Drug", 2: "I-Drug"}}),
    "BertForSequenceClassification": ("classification", {"id2label": {0: "no", 1: "yes"}}),
    "several": (
        "classification",
        {"id2label": {0: "a", 1: "b", 2: "c"}, "problem_type": "multi_label_classification"},
    ),
    "number": ("classification", {"id2label": {0: "value"}, "problem_type": "regression"}),
    "BertForQuestionAnswering": ("qa", {}),
}
CLASSES = {"several": "BertForSequenceClassification", "number": "BertForSequenceClassification"}


@pytest.fixture(params=HEADS)
def head(request):
    return request.param


def theirs_of(head):
    import torch
    import transformers

    torch.manual_seed(0)
    sizes = {name: getattr(MODEL, name) for name in huggingface.SHARED_FIELDS}
    config = transformers.BertConfig(**sizes, **HEADS[head][1])
    return getattr(transformers, CLASSES.get(head, head))(config).eval()


def batch():
    draw = np.random.default_rng(1)
    lengths = [20, 12, 1 + 4]
    ids = draw.integers(5, 90, (3, 20))
    kinds = (np.arange(20) > 7).astype(np.int64) * np.ones((3, 1), np.int64)
    mask = np.arange(20) < np.array(lengths)[:, None]
    return ids, kinds, mask.astype(np.int64)


def logits_of(model, ids, kinds, mask):
    import torch

    tensors = {
        name: torch.tensor(array)
        for name, array in (("input_ids", ids), ("token_type_ids", kinds), ("attention_mask", mask))
    }
    with torch.no_grad():
        found = model(**tensors)
    if hasattr(found, "start_logits"):
        return np.stack([found.start_logits.numpy(), found.end_logits.numpy()], -1)
    return found.logits.numpy()


def ours_of(folder, ids, kinds, mask):
    checkpoint = load_checkpoint(folder)
    task = task_of(checkpoint.kind)
    options = options_of(task, FinetuneDataConfig()) | checkpoint.options
    setting = Setting(checkpoint.labels, options, checkpoint.tokenizer, 32)
    graph, create = model_of(task, checkpoint.model, setting, 0)
    params, _ = fit_params(checkpoint, jax.eval_shape(create))
    inputs = {"input_ids": ids, "sequence_ids": mask, "token_type_ids": kinds}
    inputs = {name: array.astype(np.int32) for name, array in inputs.items()}
    if task.name == "ner":
        del inputs["token_type_ids"]
    if task.name == "classification":
        inputs["positions"] = np.zeros((3, 1), np.int32)
    return checkpoint, np.asarray(outputs_of(task, graph)(params, inputs))


def test_logits_are_the_same_both_ways(head, tmp_path):
    import transformers

    kind, _ = HEADS[head]
    model = theirs_of(head)
    model.save_pretrained(tmp_path / "theirs")
    tokens = [f"t{i}" for i in range(SPECIAL_ROWS)]
    tokens[:5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = tiny_tokenizer(tmp_path, tokens)
    (tmp_path / "theirs/vocab.txt").write_bytes(tokenizer.vocab_bytes())
    ids, kinds, mask = batch()
    if kind == "ner":
        kinds = np.zeros_like(kinds)
    checkpoint, found = ours_of(tmp_path / "theirs", ids, kinds, mask)
    assert checkpoint.kind == kind and checkpoint.unexpected == ()
    expected = logits_of(model, ids, kinds, mask)
    if kind == "classification":
        found = found[:, 0]
        assert np.abs(found - expected).max() < 1e-4
    else:
        assert np.abs((found - expected)[mask > 0]).max() < 1e-4

    huggingface.write(
        tmp_path / "ours",
        checkpoint.model,
        checkpoint.params,
        checkpoint.tokenizer,
        checkpoint.labels,
        kind=checkpoint.kind,
        options=checkpoint.options,
    )
    auto = {
        "ner": transformers.AutoModelForTokenClassification,
        "classification": transformers.AutoModelForSequenceClassification,
        "qa": transformers.AutoModelForQuestionAnswering,
    }[kind]
    again = auto.from_pretrained(tmp_path / "ours").eval()
    assert type(again) is type(model)
    assert again.config.problem_type == model.config.problem_type or head.startswith("Bert")
    if checkpoint.labels:
        assert tuple(again.config.id2label.values()) == checkpoint.labels
    was, now = model.state_dict(), again.state_dict()
    assert set(was) == set(now) and all(bool((was[name] == now[name]).all()) for name in was)
    assert np.abs(logits_of(again, ids, kinds, mask) - expected).max() < 1e-6
    read = load_checkpoint(tmp_path / "ours")
    before, after = flatten(checkpoint.params), flatten(read.params)
    assert set(before) == set(after)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert dataclasses.astuple(read)[7:9] == dataclasses.astuple(checkpoint)[7:9]


@pytest.mark.parametrize(
    ("labels", "kind", "task"),
    [(("no", "yes"), "single", "text-classification"), (("O", "B-x"), "", "token-classification")],
)
def test_a_pipeline_gives_our_answers(tmp_path, labels, kind, task):
    transformers = pytest.importorskip("transformers")
    from tests.checkpoints.tiny import tiny_params

    name = "classification" if kind else "ner"
    params = tiny_params("classifier", *(["pooler"] if kind else []), model=MODEL, num_labels=2)
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]
    tokens += [f"t{i}" for i in range(SPECIAL_ROWS - len(tokens))]
    tokenizer = tiny_tokenizer(tmp_path, tokens)
    options = {"kind": kind} if kind else {}
    huggingface.write(
        tmp_path / "hf", MODEL, params, tokenizer, labels, 32, kind=name, options=options
    )
    pipeline = transformers.pipeline(task, str(tmp_path / "hf"))
    text = "a b c h"
    ids = np.array([[2, *tokenizer.encode(text), 3]])
    _, logits = ours_of(
        tmp_path / "hf",
        np.repeat(ids, 3, 0),
        np.zeros((3, ids.shape[1])),
        np.ones((3, ids.shape[1])),
    )
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = pipeline(text)
    if kind:
        best = int(shares[0, 0].argmax())
        assert found[0]["label"] == labels[best]
        assert found[0]["score"] == pytest.approx(float(shares[0, 0, best]), abs=1e-4)
    else:
        best = shares[0, 1:-1].argmax(-1)
        given = {token["index"] - 1: token["entity"] for token in found}
        assert given == {i: labels[b] for i, b in enumerate(best) if labels[b] != "O"}
