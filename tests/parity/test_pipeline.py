"""A converted tagger in transformers: entities of one piece, and ids of its tokenizer."""

import json

import numpy as np
import pytest

from biobert_jax import cli
from biobert_jax.checkpoints import manifest, orbax
from biobert_jax.checkpoints.load import load_checkpoint
from biobert_jax.checkpoints.tree import flatten
from biobert_jax.scoring.conlleval import chunks
from tests.checkpoints.tiny import MODEL, tiny_params, tiny_tokenizer

pytestmark = pytest.mark.torch


def test_entities_of_untyped_labels_are_not_torn(tmp_path):
    transformers = pytest.importorskip("transformers")
    metadata = manifest.Metadata("ner", 1, MODEL, "vocab.txt", ("O", "B", "I"), 16)
    # Random ones with which B and I follow each other.
    params = tiny_params("classifier")
    orbax.write_checkpoint(tmp_path / "orbax", metadata, tiny_tokenizer(tmp_path), params)
    command = ["convert", "--from", str(tmp_path / "orbax"), "--to", str(tmp_path / "hf")]
    assert cli.main([*command, "--format", "hf"]) == 0
    labels = ("O", "B-entity", "I-entity")
    assert load_checkpoint(tmp_path / "hf").labels == labels
    config = json.loads((tmp_path / "hf/config.json").read_text())
    assert tuple(config["id2label"].values()) == labels

    text = "a b c d e f g h Ab Cd"
    every = transformers.pipeline("token-classification", str(tmp_path / "hf"), ignore_labels=[])
    tokens = every(text)
    found = chunks([token["entity"] for token in tokens])
    spans = [(tokens[c.start]["start"], tokens[c.end - 1]["end"]) for c in found]
    assert any(c.end - c.start > 1 for c in found), "nothing that could be torn"
    groups = transformers.pipeline(
        "token-classification", str(tmp_path / "hf"), aggregation_strategy="simple"
    )(text)
    assert {group["entity_group"] for group in groups} == {"entity"}
    assert [(group["start"], group["end"]) for group in groups] == spans
    theirs = every.tokenizer(text)["input_ids"]
    tokenizer = load_checkpoint(tmp_path / "hf").tokenizer
    special = tokenizer.special
    assert theirs == [special.cls, *tokenizer.encode(text).tolist(), special.sep]

    # And what transformers itself saves of it is the same tagger.
    every.model.save_pretrained(tmp_path / "saved")
    every.tokenizer.save_pretrained(tmp_path / "saved")
    ours, saved = load_checkpoint(tmp_path / "hf"), load_checkpoint(tmp_path / "saved")
    assert (saved.kind, saved.labels, saved.unexpected) == ("ner", labels, ())
    assert saved.tokenizer.options == ours.tokenizer.options
    assert saved.tokenizer.tokens == ours.tokenizer.tokens
    before, after = flatten(ours.params), flatten(saved.params)
    assert all(np.array_equal(before[name], after[name]) for name in before)
