"""The tagger around its model: how many documents it takes at a time."""

import pytest

from biobert_jax.predict import tagger
from biobert_jax.predict.tagger import EntityTagger


@pytest.mark.parametrize(("length", "blocks"), [(1, [3, 3, 1]), (6, [2, 2, 2, 1]), (20, [1] * 7)])
def test_documents_are_taken_by_number_and_by_length(monkeypatch, length, blocks):
    monkeypatch.setattr(tagger, "_BLOCK_CHARACTERS", 10)
    monkeypatch.setattr(EntityTagger, "_tag_block", lambda self, block: iter([len(block)]))
    without_model = object.__new__(EntityTagger)
    assert list(without_model.tag(["a" * length] * 7, at_a_time=3)) == blocks
