"""TF1 checkpoints: google's own read and written, heads, slots, bad files."""

import json
import shutil

import numpy as np
import pytest

from biobert_jax import cli
from biobert_jax.checkpoints import manifest, orbax, tf1
from biobert_jax.checkpoints.load import load_checkpoint
from biobert_jax.checkpoints.tree import flatten
from biobert_jax.errors import UserError
from tests.checkpoints.tiny import LABELS, MODEL, tiny_params, tiny_tokenizer

tensorflow = pytest.importorskip("tensorflow")


def convert(source, target, form, *more):
    return cli.main(
        ["convert", "--from", str(source), "--to", str(target), "--format", form, *more]
    )


@pytest.fixture
def written(tmp_path):
    """A folder as google's releases are, with the given heads."""

    def write(*heads, name="tf1", **options):
        tmp_path.joinpath("in").mkdir(exist_ok=True)
        params = tiny_params(*heads, **options)
        tf1.write(tmp_path / name, MODEL, params, tiny_tokenizer(tmp_path / "in"))
        return tmp_path / name, params

    return write


def variables(prefix):
    reader = tensorflow.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_a_real_checkpoint_goes_round_bit_for_bit(shared_data, tmp_path, capsys):
    source = shared_data / "checkpoints/tf1-tiny"
    steps = (("orbax", source), ("hf", tmp_path / "orbax"), ("tf1", tmp_path / "hf"))
    for form, before in steps:
        assert convert(before, tmp_path / form, form) == 0
    said = capsys.readouterr().err
    assert "left out: 93 variables of the optimizer" in said
    before, after = variables(source / tf1.PREFIX), variables(tmp_path / "tf1" / tf1.PREFIX)
    slots = {name for name in before if "adam" in name or name == "global_step"}
    assert len(slots) == 93 and set(after) == set(before) - slots
    for name, array in after.items():
        assert array.dtype == np.float32 and np.array_equal(array, before[name]), name
    assert (tmp_path / "tf1/vocab.txt").read_bytes() == (source / "vocab.txt").read_bytes()


def test_upstreams_own_names_and_orientations(written):
    folder, params = written("pooler", "nsp", "mlm")
    arrays = variables(folder / tf1.PREFIX)
    kernel = params["bert"]["encoder"]["layers"]["intermediate"]["kernel"]
    found = arrays["bert/encoder/layer_1/intermediate/dense/kernel"]
    assert np.array_equal(found, kernel[1])
    assert np.array_equal(arrays["cls/seq_relationship/output_weights"], params["nsp"]["kernel"].T)
    assert np.array_equal(arrays["cls/predictions/output_bias"], params["mlm"]["bias"])
    config = json.loads((folder / "bert_config.json").read_text())
    assert config["hidden_act"] == "gelu" and config["vocab_size"] == MODEL.vocab_size


@pytest.mark.parametrize("path", ["tf1", "tf1/bert_model.ckpt", "tf1/bert_model.ckpt.index"])
def test_folder_prefix_and_index_stand_for_it(written, tmp_path, path):
    _, params = written("pooler", "mlm")
    loaded = load_checkpoint(tmp_path / path)
    assert (loaded.format, loaded.kind, loaded.unexpected) == ("tf1", "pretraining", ())
    ours, theirs = flatten(loaded.params), flatten(params)
    assert set(ours) == set(theirs)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_the_newest_of_several_is_taken(written, tmp_path):
    folder, _ = written("pooler")
    for step in (9, 10):
        for file in folder.glob("bert_model.ckpt.*"):
            shutil.copy(file, folder / file.name.replace("bert_model.ckpt", f"model.ckpt-{step}"))
    assert tf1.find(folder).name == "model.ckpt-10"
    (folder / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/model.ckpt-9"\n')
    assert tf1.find(folder).name == "model.ckpt-9"


def test_heads_of_tasks(written, tmp_path, capsys):
    qa, params = written("qa_outputs", name="qa")
    loaded = load_checkpoint(qa)
    assert loaded.kind == "qa"
    assert np.array_equal(loaded.params["qa_outputs"]["kernel"], params["qa_outputs"]["kernel"])
    tagger, params = written("classifier", name="tagger", num_labels=5)
    assert convert(tagger, tmp_path / "encoder", "orbax") == 0
    assert "left out: output_weights (a classifier" in capsys.readouterr().err
    assert load_checkpoint(tmp_path / "encoder").kind == "encoder"
    labels = ("--task", "ner", "--labels", "[PAD],B,I,O,X")
    assert convert(tagger, tmp_path / "ner", "orbax", *labels) == 0
    loaded = load_checkpoint(tmp_path / "ner")
    assert (loaded.kind, loaded.labels) == ("ner", ("B-entity", "I-entity", "O"))
    kernel = params["classifier"]["kernel"]
    assert np.array_equal(loaded.params["classifier"]["kernel"], kernel[:, 1:4])


def test_options_survive_every_format(tmp_path):
    options = {"kind": "multi_label", "temperature": 1.25, "labels": ["x", "y"]}
    metadata = manifest.Metadata("classification", 3, MODEL, "", ("x", "y"), 16, options=options)
    params = tiny_params("pooler", "classifier", num_labels=2)
    orbax.write_checkpoint(tmp_path / "a", metadata, tiny_tokenizer(tmp_path), params)
    assert convert(tmp_path / "a", tmp_path / "b", "hf") == 0
    assert convert(tmp_path / "b", tmp_path / "c", "orbax") == 0
    loaded = load_checkpoint(tmp_path / "c")
    assert (loaded.kind, loaded.labels, loaded.options) == ("classification", ("x", "y"), options)
    config = json.loads((tmp_path / "b/config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["problem_type"] == "multi_label_classification"


def cut_off(folder):
    data = folder / "bert_model.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-500])


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (cut_off, "not a TF1 checkpoint, or damaged or cut off"),
        (lambda f: (f / "bert_model.ckpt.data-00000-of-00001").unlink(), "damaged or cut off"),
        (lambda f: (f / "bert_model.ckpt.index").write_bytes(b"no"), "damaged or cut off"),
        (lambda f: (f / "bert_model.ckpt.index").unlink(), "but no .index: copy all of them"),
        (lambda f: (f / "bert_config.json").unlink(), "bert_config.json: no such file"),
        (lambda f: (f / "vocab.txt").unlink(), "vocab"),
    ],
)
def test_bad_files_are_one_line(written, harm, words):
    folder, _ = written("pooler")
    harm(folder)
    with pytest.raises(UserError, match=words) as error:
        load_checkpoint(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--task", "ner", "--labels", "B,I"), "3 outputs, but 2 labels are given"),
        (("--task", "ner"), "give --task and --labels together"),
    ],
)
def test_wrong_labels_are_refused(written, tmp_path, capsys, more, words):
    tagger, _ = written("classifier")
    assert convert(tagger, tmp_path / "out", "orbax", *more) in (1, 2)
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_labels_are_for_tf1_alone(written, tmp_path, capsys):
    encoder, _ = written("pooler")
    assert convert(encoder, tmp_path / "out", "orbax") == 0
    labels = ("--task", "ner", "--labels", ",".join(LABELS))
    assert convert(tmp_path / "out", tmp_path / "again", "hf", *labels) == 1
    assert "says itself what it is" in capsys.readouterr().err
    assert convert(encoder, tmp_path / "again", "hf", *labels) == 1
    assert "there is no classifier" in capsys.readouterr().err
