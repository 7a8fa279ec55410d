"""Tokens and pairs against google's own code, as its package `bert-tensorflow` carries it."""

import gzip
import json
import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from biobert_jax.corpus.rows.pairs import SentenceTokens, make_pairs
from biobert_jax.corpus.text.tokenization import load_tokenizer

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def google():
    """Google's modules."""
    from absl import flags
    from bert import create_pretraining_data, tokenization

    flags.FLAGS(["pytest"], known_only=True)
    create_pretraining_data.tokenization_module = tokenization
    return create_pretraining_data


def google_tokenizer(google, tokens, lowercase):
    module = google.tokenization_module
    basic = module.BasicTokenizer(do_lower_case=lowercase)
    vocab = {token: number for number, token in enumerate(tokens)}
    wordpiece = module.WordpieceTokenizer(vocab=vocab)

    def encode(text):
        return [vocab[p] for word in basic.tokenize(text) for p in wordpiece.tokenize(word)]

    return encode


@pytest.fixture(scope="module", params=["cased", "uncased"])
def tokenizers(request, google, shared_data, tmp_path_factory):
    """Ours and google's."""
    path = shared_data / "vocab/biobert-cased/vocab.txt"
    if request.param == "uncased":
        tokens = load_tokenizer(path).tokens
        lowered = dict.fromkeys(t if t.startswith("[") else t.lower() for t in tokens)
        path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
        path.write_text("".join(f"{token}\n" for token in lowered), encoding="utf-8")
    ours = load_tokenizer(path)
    assert ours.cased == (request.param == "cased")
    return ours, google_tokenizer(google, ours.tokens, not ours.cased)


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=120))
@example("ΟΔΟΣ. Σ\u200b a\u0300\u0323 ﬁn İI")
def test_ids_on_any_text(tokenizers, text):
    ours, theirs = tokenizers
    assert ours.encode(text).tolist() == theirs(text)


def test_ids_on_real_text(tokenizers, shared_data):
    ours, theirs = tokenizers
    with gzip.open(shared_data / "corpus/text/abstracts.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line, _ in zip(lines, range(500), strict=False)]
    for text in texts:
        assert ours.encode(text).tolist() == theirs(text)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=12), min_size=1, max_size=8),
    st.integers(8, 80),
    st.sampled_from([0.0, 0.1, 0.9]),
)
def test_pairs_draw_for_draw(google, lengths, max_seq_length, short_seq_prob):
    names = iter(range(10**6))
    documents = [[[f"t{next(names)}" for _ in range(n)] for n in doc] for doc in lengths]
    rng = random.Random("3 4 0")
    expected = []
    for index in range(len(documents)):
        # No masks: their draws come from the same generator, after a pair is made.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(google, "create_masked_lm_predictions", lambda t, *_: (t, [], []))
            instances = google.create_instances_from_document(
                documents, index, max_seq_length, short_seq_prob, 0.15, 20, [], rng
            )
        for instance in instances:
            middle = instance.tokens.index("[SEP]")
            a, b = instance.tokens[1:middle], instance.tokens[middle + 1 : -1]
            expected.append((a, b, instance.is_random_next))

    def numbers(tokens):
        return np.array([int(token[1:]) for token in tokens], np.int32)

    ours = make_pairs(
        (
            SentenceTokens(
                np.concatenate([numbers(s) for s in doc]), [0, *np.cumsum([len(s) for s in doc])]
            )
            for doc in documents
        ),
        max_seq_length,
        seed=3,
        stream=(4,),
        short_seq_prob=short_seq_prob,
    )
    found = [
        ([f"t{n}" for n in p.tokens_a], [f"t{n}" for n in p.tokens_b], p.is_random_next)
        for p in ours
    ]
    assert found == expected


def test_training_reads_files_that_google_wrote(google, tmp_path):
    from biobert_jax.data.bert_files import BertFiles

    words = [f"w{n}" for n in range(50)]
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (tmp_path / "vocab.txt").write_text("".join(f"{word}\n" for word in vocab))
    lines = [" ".join(words[n : n + 9]) for n in range(40)]
    lines[9::10] = [""] * 4  # documents of nine sentences
    (tmp_path / "text.txt").write_text("\n".join(lines) + "\n")
    tokenizer = google.tokenization_module.FullTokenizer(
        str(tmp_path / "vocab.txt"), do_lower_case=True
    )
    instances = google.create_training_instances(
        [str(tmp_path / "text.txt")], tokenizer, 48, 2, 0.1, 0.15, 7, random.Random(1)
    )
    files = [str(tmp_path / f"records-{n}") for n in range(2)]
    google.write_instance_to_example_files(instances, tokenizer, 48, 7, files)

    data = BertFiles([str(tmp_path / "records-*")], vocab=tmp_path / "vocab.txt")
    assert (data.format.max_seq_length, data.format.max_predictions) == (48, 7)
    assert sum(file.rows for file in data.train) == len(instances) > 10
    batches = data.train_batches(len(instances) // 2 * 2, seed=0, num_streams=2)
    batch = next(batches)
    expected = {tuple(tokenizer.convert_tokens_to_ids(i.tokens)) for i in instances}
    for row, mask in zip(batch["input_ids"], batch["input_mask"], strict=True):
        assert tuple(row[mask > 0].tolist()) in expected
    for name in ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights"):
        assert batch[name].shape == (len(batch["input_ids"]), 7)
    labels = [int(instance.is_random_next) for instance in instances]
    assert set(batch["next_sentence_labels"].ravel().tolist()) <= set(labels)
