"""Hugging Face folders: what their files say is compared, and what others write is read."""

import json
import shutil

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from biobert_jax.checkpoints import huggingface, manifest, orbax
from biobert_jax.checkpoints.load import check_task, load_checkpoint, with_labels
from biobert_jax.checkpoints.tree import flatten
from biobert_jax.errors import UserError
from tests.checkpoints.tiny import LABELS, MODEL, TOKENS, tiny_params, tiny_tokenizer

WORDS = "bert.embeddings.word_embeddings.weight"


@pytest.fixture
def tagger(tmp_path):
    """The folder of a tagger."""
    return written(tmp_path, "tagger", tiny_params("classifier"), LABELS)


@pytest.fixture
def pretrained(tmp_path):
    """The folder of an encoder with its pre-training heads."""
    return written(tmp_path, "pretrained", tiny_params("pooler", "mlm", "nsp"))


def written(tmp_path, name, params, labels=()):
    huggingface.write(tmp_path / name, MODEL, params, tiny_tokenizer(tmp_path), labels)
    return tmp_path / name


def change_json(path, **changes):
    """Sets keys; None removes one."""
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


def change_arrays(folder, change):
    """Rewrites the weights by a function of the dict of arrays."""
    arrays = load_file(folder / "model.safetensors")
    changed = change(arrays) or arrays
    save_file(changed, folder / "model.safetensors", {"format": "pt"})
    return changed


def assert_same_params(one, other):
    one, other = flatten(one), flatten(other)
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def refusal(folder):
    with pytest.raises(UserError) as error:
        check_task(load_checkpoint(folder), "ner")
    message = str(error.value)
    assert "\n" not in message and folder.name in message
    return message


def test_what_is_written_is_read_again(tagger):
    checkpoint = load_checkpoint(tagger)
    assert (checkpoint.kind, checkpoint.labels, checkpoint.model) == ("ner", LABELS, MODEL)
    assert checkpoint.tokenizer.tokens == TOKENS and checkpoint.tokenizer.cased
    assert_same_params(checkpoint.params, tiny_params("classifier"))
    modes = {path.stat().st_mode & 0o777 for path in tagger.iterdir()}
    assert len(modes) == 1, "safetensors makes its files for their owner alone"


def test_every_flag_of_the_tokenizer_makes_the_round_trip(tagger, tmp_path):
    tokens = [t for t in TOKENS if t == t.lower() or t.startswith("[")] + ["zz"]
    fast = json.loads((tagger / "tokenizer.json").read_text())
    fast["normalizer"] |= {"lowercase": True, "strip_accents": False, "handle_chinese_chars": False}
    fast["model"]["vocab"] = {token: index for index, token in enumerate(tokens)}
    added = {"content": "x-1", "single_word": True, "normalized": True, "special": False}
    fast["added_tokens"] += [{"id": len(tokens), "lstrip": False, "rstrip": False, **added}]
    for name in ("vocab.txt", "tokenizer_config.json"):
        (tagger / name).unlink()
    (tagger / "tokenizer.json").write_text(json.dumps(fast))
    change_json(tagger / "config.json", vocab_size=len(tokens) + 1)
    change_arrays(tagger, lambda arrays: arrays | {WORDS: arrays[WORDS][: len(tokens) + 1]})
    first = load_checkpoint(tagger)
    options = first.tokenizer.options
    assert options.do_lower_case and not options.strip_accents
    assert not options.tokenize_chinese_chars and options.added_tokens[0].single_word
    huggingface.write(tmp_path / "again", first.model, first.params, first.tokenizer, LABELS)
    again = load_checkpoint(tmp_path / "again")
    assert again.tokenizer.options == options and again.tokenizer.tokens == [*tokens, "x-1"]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_is_read(tagger, dtype):
    arrays = change_arrays(tagger, lambda a: {k: v.astype(dtype) for k, v in a.items()})
    read = load_checkpoint(tagger).params["bert"]["embeddings"]["word_embeddings"]["embedding"]
    assert read.dtype == np.float32 and np.array_equal(read, arrays[WORDS].astype(np.float32))


def test_quantised_weights_are_refused(tagger):
    change_arrays(tagger, lambda a: a | {WORDS: a[WORDS].astype(np.int8)})
    assert "int8: a quantised model is not read" in refusal(tagger)


@pytest.fixture
def shards(tagger):
    """The tagger's weights as two shards, and the index's map."""
    arrays = load_file(tagger / "model.safetensors")
    (tagger / "model.safetensors").unlink()
    home = {name: f"model-0000{1 + n % 2}-of-00002.safetensors" for n, name in enumerate(arrays)}
    for file in set(home.values()):
        save_file({k: v for k, v in arrays.items() if home[k] == file}, tagger / file)
    write_index(tagger, home)
    return tagger, home


def write_index(folder, home):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": home}))


def test_shards_are_read(shards):
    folder, _ = shards
    assert_same_params(load_checkpoint(folder).params, tiny_params("classifier"))


def test_missing_shards_and_arrays_are_named(shards):
    folder, home = shards
    write_index(folder, home | {"extra": "model-00001-of-00002.safetensors"})
    assert "model-00001-of-00002.safetensors: it lacks extra" in refusal(folder)
    write_index(folder, home | {"extra": "../model.safetensors"})
    assert "'../model.safetensors' is not the name of a file" in refusal(folder)
    write_index(folder, home)
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors: no such file, but" in refusal(folder)
    (folder / "model.safetensors.index.json").write_text("{}")
    assert "weight_map is missing" in refusal(folder)


def rename(prefix, cut=""):
    return lambda arrays: {prefix + name.removeprefix(cut): a for name, a in arrays.items()}


@pytest.mark.parametrize(
    "change",
    [rename("module."), rename("bert_model.", "bert."), rename("model.")],
    ids=["module", "bert_model", "model"],
)
def test_what_programs_put_before_names_is_no_part_of_them(pretrained, change):
    change_arrays(pretrained, change)
    checkpoint = load_checkpoint(pretrained)
    assert not checkpoint.unexpected and checkpoint.kind == "pretraining"
    assert_same_params(checkpoint.params, tiny_params("pooler", "mlm", "nsp"))


def test_no_encoder_and_two_of_them(pretrained):
    change_arrays(pretrained, lambda a: a | {f"other.{name}": v for name, v in a.items()})
    assert "several encoders (bert., other.bert.)" in refusal(pretrained)
    change_arrays(pretrained, lambda a: {"x": a[WORDS]})
    assert "among its 1 arrays (x, …)" in refusal(pretrained)


def test_more_rows_than_tokens_are_padding_and_fewer_are_refused(pretrained):
    def rows(count):
        def change(a):
            bias = "cls.predictions.bias"
            return a | {
                WORDS: np.resize(a[WORDS], (count, 4)),
                bias: np.resize(a[bias], count),
            }

        change_json(pretrained / "config.json", vocab_size=count)
        change_arrays(pretrained, change)

    rows(64)
    assert load_checkpoint(pretrained).model.vocab_size == 64
    rows(len(TOKENS) - 1)
    assert "vocab.txt has 15 tokens, the word embeddings have 14 rows" in refusal(pretrained)


@pytest.mark.parametrize(
    "key, name, found",
    [
        ("vocab_size", "word_embeddings", "15×4, its config says 16×4"),
        ("max_position_embeddings", "position_embeddings", "16×4, its config says 17×4"),
        ("type_vocab_size", "token_type_embeddings", "2×4, its config says 3×4"),
        ("intermediate_size", "intermediate.dense.weight", "6×4, its config says 7×4"),
    ],
)
def test_every_table_has_the_size_that_the_config_says(tagger, key, name, found):
    change_json(tagger / "config.json", **{key: getattr(MODEL, key) + 1})
    message = refusal(tagger)
    assert name in message and found in message and "do not belong together" in message


def test_missing_arrays_are_named(tagger):
    lost = "bert.encoder.layer.1.output.dense.bias"
    change_arrays(tagger, lambda a: {k: v for k, v in a.items() if k != lost})
    assert f"layers are missing: {lost}" in refusal(tagger)
    change_arrays(tagger, lambda a: {k: v for k, v in a.items() if "output.dense.bias" not in k})
    assert "output.dense.bias is missing (and 1 more)" in refusal(tagger)


def test_a_decoder_of_its_own_is_never_dropped_silently(pretrained):
    def tied(a):
        return a | {"cls.predictions.decoder.weight": a[WORDS].copy()}

    change_arrays(pretrained, tied)
    assert_same_params(load_checkpoint(pretrained).params, tiny_params("pooler", "mlm", "nsp"))

    def only_the_decoders_bias(a):
        bias = a.pop("cls.predictions.bias")
        return a | {"cls.predictions.decoder.bias": bias}

    change_arrays(pretrained, only_the_decoders_bias)
    assert_same_params(load_checkpoint(pretrained).params, tiny_params("pooler", "mlm", "nsp"))
    change_arrays(pretrained, lambda a: a | {"cls.predictions.decoder.weight": -a[WORDS]})
    checkpoint = load_checkpoint(pretrained)
    assert "mlm" not in checkpoint.params and checkpoint.kind == "encoder"
    assert checkpoint.unexpected[0].startswith("cls.predictions (its decoder is not")


def test_half_a_head_is_none_and_is_named(pretrained):
    change_arrays(pretrained, lambda a: {k: v for k, v in a.items() if "transform.d" not in k})
    checkpoint = load_checkpoint(pretrained)
    assert "mlm" not in checkpoint.params
    assert "incomplete: it lacks cls.predictions.transform.dense.weight" in checkpoint.unexpected[0]


def test_a_classifier_of_texts_is_not_one_of_words(tagger):
    change_json(tagger / "config.json", architectures=["BertForSequenceClassification"])
    checkpoint = load_checkpoint(tagger)  # without a pooler it could not be computed
    assert checkpoint.kind == "encoder" and "classifier" not in checkpoint.params
    assert checkpoint.unexpected == ("classifier (of BertForSequenceClassification)",)
    change_json(tagger / "config.json", architectures=None)
    assert load_checkpoint(tagger).kind == "ner", "its labels say so"
    change_json(tagger / "config.json", architectures=["BertForTokenClassification"])
    change_arrays(tagger, lambda a: {k: v for k, v in a.items() if "classifier" not in k})
    assert "there is no classifier.weight" in refusal(tagger)


GENERIC = {str(n): f"LABEL_{n}" for n in range(3)}


@pytest.mark.parametrize(
    "labels, inverse, message",
    [
        (GENERIC, None, "'LABEL_0' says nothing of an entity"),
        (None, None, "config.json: id2label: no labels"),
        ({"0": "O", "1": "B-X"}, None, "classifier.weight is 3×4, its config says 2×4"),
        ({"0": "O", "2": "B-X", "3": "I-X"}, None, "the ids are not 0 to 2"),
        ({"0": "O", "1": "B-X", "2": "B-X"}, None, "'B-X' stands twice"),
        (["O", "B", "I"], None, "an object of ids and labels was expected"),
        ({"0": "O", "1": "B-X", "2": 7}, None, "an object of ids and labels was expected"),
        ({"0": "O", "1": "B-X", "2": "I-X"}, {"O": 0, "B-X": 2, "I-X": 1}, "not the inverse"),
    ],
)
def test_labels_that_say_nothing_or_contradict_each_other(tagger, labels, inverse, message):
    change_json(tagger / "config.json", id2label=labels, label2id=inverse)
    assert message in refusal(tagger)


def test_labels_without_a_type_have_one_name(tagger):
    labels = {"0": "O", "1": "B", "2": "I"}
    change_json(tagger / "config.json", id2label=labels, label2id=None)
    assert load_checkpoint(tagger).labels == ("O", "B-entity", "I-entity")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"hidden_size": "4"}, "hidden_size is '4': an integer was expected"),
        ({"vocab_size": True}, "vocab_size is True: an integer was expected"),
        ({"hidden_dropout_prob": "x"}, "hidden_dropout_prob is 'x': a number was expected"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0: it must be above 0"),
        ({"num_attention_heads": 3}, "not a multiple"),
        ({"architectures": "BertModel"}, "architectures is 'BertModel': a list"),
        ({"model_type": "roberta"}, "model_type is 'roberta': only 'bert'"),
        ({"hidden_act": ["gelu"]}, "hidden_act"),
        ({"is_decoder": True}, "is_decoder"),
        ({"hidden_size": None}, "no hidden_size: is this a BERT folder?"),
    ],
)
def test_values_of_the_config_are_checked(tagger, changes, message):
    change_json(tagger / "config.json", **changes)
    assert message in refusal(tagger)


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"{", b"[]", b"[" * 100_000])
def test_damaged_configs(tagger, content):
    for name in ("config.json", "tokenizer_config.json", "tokenizer.json"):
        kept = (tagger / name).read_bytes()
        (tagger / name).write_bytes(content)
        assert f"{name}: " in refusal(tagger)
        (tagger / name).write_bytes(kept)


@pytest.mark.parametrize("keep", [0, 4, 8, 50, -1])
def test_damaged_weights(tagger, keep):
    path = tagger / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert "model.safetensors: not a safetensors file, or damaged" in refusal(tagger)


def test_a_folder_without_a_vocabulary(tagger):
    for name in ("vocab.txt", "tokenizer.json"):
        (tagger / name).unlink()
    assert "no such vocabulary file: vocab.txt" in refusal(tagger)


@pytest.mark.parametrize(
    "names, message",
    [
        (["config.json"], "config.json, but no weights"),
        (["model.safetensors"], "model.safetensors, but no config.json"),
        (["config.json", "tf_model.h5"], "tf_model.h5 is not read: save it"),
        (["bert_model.ckpt.data-00000-of-00001"], "TF1"),
        (["notes.txt"], "give a workdir"),
    ],
)
def test_what_a_folder_has_is_named(tmp_path, names, message):
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match="no finished checkpoint here") as error:
        load_checkpoint(tmp_path)
    assert message in str(error.value)


def test_folders_of_a_workdir_without_a_checkpoint(tmp_path):
    (tmp_path / "config.json").write_text('{"seed": 0, "train": {}}')
    with pytest.raises(UserError, match="the run in this workdir has saved none yet"):
        load_checkpoint(tmp_path)
    metadata = manifest.Metadata("pretraining", 1, MODEL, "vocab.txt", max_seq_length=16)
    step = tmp_path / "checkpoints/1"
    orbax.write_checkpoint(step, metadata, tiny_tokenizer(tmp_path), tiny_params())
    with pytest.raises(UserError, match=f"give {tmp_path}, for its best or newest one"):
        load_checkpoint(step.parent)


def test_paths_where_nothing_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="hf download org/name --local-dir name"):
        load_checkpoint("org/name")
    (tmp_path / "org").mkdir()
    with pytest.raises(UserError, match="org/name: no such checkpoint"):
        load_checkpoint("org/name")
    (tmp_path / "org/name").touch()
    with pytest.raises(UserError, match="this is a file: give the folder"):
        load_checkpoint("org/name")


def test_pytorch_files_need_pytorch(tagger, monkeypatch):
    shutil.move(tagger / "model.safetensors", tagger / "pytorch_model.bin")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "reading it needs PyTorch: pip install torch" in refusal(tagger)


@pytest.mark.torch
def test_pytorch_files_are_read_and_run_no_code(tagger):
    import torch

    arrays = load_file(tagger / "model.safetensors")
    (tagger / "model.safetensors").unlink()
    (tagger / "config.json").rename(tagger / "bert_config.json")  # as BioBERT's first release
    path = tagger / "pytorch_model.bin"
    torch.save({name: torch.tensor(array) for name, array in arrays.items()}, path)
    assert_same_params(load_checkpoint(tagger).params, tiny_params("classifier"))
    torch.save({"x": print}, path)
    assert "not a file of PyTorch weights" in refusal(tagger)
    path.write_bytes(b"PK\x03\x04")
    assert "not a file of PyTorch weights" in refusal(tagger)


def test_a_head_is_taken_over_by_its_labels(tagger):
    checkpoint = load_checkpoint(tagger)
    same, notes = with_labels(checkpoint, ("O", "I-Drug", "B-Drug"))
    assert not notes and same.labels == ("O", "I-Drug", "B-Drug")
    old, new = checkpoint.params["classifier"], same.params["classifier"]
    assert np.array_equal(new["kernel"], old["kernel"][:, [0, 2, 1]])
    assert np.array_equal(new["bias"], old["bias"][[0, 2, 1]])
    for labels in (("O", "B-Gene", "I-Gene"), ("O", "B-Drug")):
        other, [note] = with_labels(checkpoint, labels)
        assert "classifier" not in other.params and "starts anew" in note
        assert "O B-Drug I-Drug" in note and " ".join(labels) in note
