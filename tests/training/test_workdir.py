"""A run's folder: it keeps its config, and gives the newest good state back."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

from biobert_jax.checkpoints import manifest, orbax
from biobert_jax.config import DataConfig, MeshConfig, ModelConfig, PretrainConfig, TrainConfig
from biobert_jax.config_finetuning import FinetuneConfig, FinetuneDataConfig, FinetuneTrainConfig
from biobert_jax.config_parsing import to_json
from biobert_jax.errors import UserError
from biobert_jax.training import saver as saver_module
from biobert_jax.training.claim import changes_of, claim_workdir
from biobert_jax.training.saver import Saver, resume
from biobert_jax.training.step import TrainState
from biobert_jax.training.workdir import Workdir, open_workdir
from tests.checkpoints.tiny import tiny_tokenizer


@pytest.fixture
def workdir(tmp_path):
    """A folder with a finished checkpoint, begun before `data.files` was a key."""
    (tmp_path / "checkpoints/2/params").mkdir(parents=True)
    (tmp_path / "checkpoints/2/params/_METADATA").touch()
    (tmp_path / "checkpoints/2/manifest.json").write_text("{}")
    config = json.loads(to_json(PretrainConfig(data=DataConfig(dir="data"))))
    del config["data"]["files"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    return Workdir.at(tmp_path)


def test_a_key_that_came_later_had_its_default(workdir):
    config = PretrainConfig(data=DataConfig(dir="data"))
    claim_workdir(workdir, config, 4)
    assert json.loads((workdir.local / "config.json").read_text()) == json.loads(to_json(config))


def test_another_config_is_refused(workdir):
    same = PretrainConfig(data=DataConfig(dir="data"), model=ModelConfig(dtype="bfloat16"))
    (workdir.local / "config.json").write_text(to_json(same))
    claim_workdir(workdir, same, 4)
    low = dataclasses.replace(same.train, gradient_dtype="bfloat16")
    tuned = FinetuneConfig(data=FinetuneDataConfig(eval="devel.tsv"))
    (workdir.local / "tuned").mkdir()
    (workdir.local / "checkpoints").rename(workdir.local / "tuned/checkpoints")
    (workdir.local / "tuned/config.json").write_text(to_json(tuned))
    by_f1 = dataclasses.replace(tuned, train=FinetuneTrainConfig(best_by="f1"))
    with pytest.raises(UserError, match="train.best_by was '', is 'f1'"):
        claim_workdir(workdir.child("tuned"), by_f1, 4)
    (workdir.local / "tuned/checkpoints").rename(workdir.local / "checkpoints")
    for changed, message in [
        ({"seed": 1}, "seed was 0, is 1"),
        ({"data": DataConfig(dir="data", batch_size=2)}, "data.batch_size was 32, is 2"),
        ({"train": low}, "train.gradient_dtype was 'float32', is 'bfloat16'"),
    ]:
        with pytest.raises(UserError, match=message):
            claim_workdir(workdir, dataclasses.replace(same, **changed), 4)


def test_a_changed_length_is_said_and_kept(workdir):
    def config(**train):
        return PretrainConfig(data=DataConfig(dir="data"), train=TrainConfig(**train))

    (workdir.local / "config.json").write_text(to_json(config(num_steps=8)))
    said: list[str] = []
    claim_workdir(workdir, config(num_steps=8), 8, say=said.append)
    assert not said and changes_of(workdir.local) == []
    claim_workdir(workdir, config(num_steps=6), 6, say=said.append)
    claim_workdir(workdir, config(num_steps=6, log_every=3), 6, say=said.append)
    (line,) = said
    assert line.startswith("train.num_steps was 8, is 6: the schedule changes from step ")
    assert [change["changed"] for change in changes_of(workdir.local)] == [
        {"train.num_steps": {"was": 8, "is": 6}},
        {"train.log_every": {"was": 10, "is": 3}},
    ]


def test_another_start_is_said_to_count_for_nothing(workdir):
    config = PretrainConfig(data=DataConfig(dir="data"), init="a")
    (workdir.local / "config.json").write_text(to_json(config))
    said: list[str] = []
    claim_workdir(workdir, dataclasses.replace(config, init="b"), 4, say=said.append)
    assert said == [
        "init was 'a', is 'b': the run goes on from its own step 2; to start from the other, "
        "choose another --workdir"
    ]


def test_where_data_lie_and_how_it_is_computed_may_change(workdir):
    config = PretrainConfig(
        data=DataConfig(dir="moved"),
        model=ModelConfig(remat="full", attention="xla", feed_forward="fused", scan_layers=False),
        train=TrainConfig(overlap_reductions="never"),
        mesh=MeshConfig("fsdp"),
        init="gone",
    )
    claim_workdir(workdir, config, 4)
    assert (workdir.local / "config.json").read_text() == to_json(config)


def test_a_second_run_is_kept_out(tmp_path):
    with open_workdir(tmp_path / "run"):
        with pytest.raises(UserError, match="another run is in it"):
            with open_workdir(tmp_path / "run"):
                pass
    with open_workdir(tmp_path / "run"):
        pass


def test_a_torn_config_is_one_line(workdir):
    (workdir.local / "config.json").write_text('{"seed"')
    with pytest.raises(UserError, match="not a config"):
        claim_workdir(workdir, PretrainConfig(), 4)
    (workdir.local / "config.json").unlink()
    with pytest.raises(UserError, match="checkpoints without config.json"):
        claim_workdir(workdir, PretrainConfig(), 4)


def state_of(step, width=3):
    """A state whose every number tells its step."""
    return TrainState(
        jnp.int32(step),
        {"kernel": jnp.full((2, width), step, jnp.float32)},
        {"mu": {"kernel": jnp.full((2, width), -step, jnp.float32)}},
        jnp.int32(0),
        jnp.int32(0),
    )


@pytest.fixture
def saved(tmp_path):
    """A folder with checkpoints at 2, 4 and 6, the last a temporary one."""
    tokenizer = tiny_tokenizer(tmp_path)
    workdir = Workdir.at(tmp_path / "run")
    writer = orbax.CheckpointWriter(workdir.shared)
    metadata = manifest.Metadata("pretraining", 0, ModelConfig(), "vocab.txt", data="rows")
    save = Saver(writer, workdir, metadata, tokenizer)
    for step in (2, 4, 6):
        save(step, state_of(step), manifest.TEMPORARY if step == 6 else manifest.NORMAL)
    assert save.newest() == tmp_path / "run/checkpoints/6"
    writer.close()
    return tmp_path / "run"


def damage(path):
    victim = max((path / "optimizer").rglob("*"), key=lambda p: p.is_file() and p.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(bytes(content))


def test_the_newest_good_checkpoint_is_named_and_restored(saved):
    said: list[str] = []
    damage(saved / "checkpoints/6")
    state, step = resume(Workdir.at(saved), state_of(0), said.append, data="rows")
    assert step == 4 and int(state.step) == 4
    np.testing.assert_array_equal(state.params["kernel"], np.full((2, 3), 4))
    np.testing.assert_array_equal(state.opt_state["mu"]["kernel"], np.full((2, 3), -4))
    assert "SHA-256 differs" in said[0] and "checkpoints/6/" in said[0]
    assert said[1] == f"going on from step 4 ({saved / 'checkpoints/4'})"
    assert "SHA-256 differs" in (saved / "checkpoints/6/damaged.txt").read_text()
    assert [path.name for path in manifest.checkpoints_of(saved)] == ["4", "2"]


def test_without_a_good_one_it_begins_anew(saved):
    for step in (2, 4, 6):
        damage(saved / "checkpoints" / str(step))
    state, step = resume(Workdir.at(saved), state_of(0), lambda line: None, data="rows")
    assert step == 0 and state is None


def test_other_data_or_another_model_is_refused(saved):
    with pytest.raises(UserError, match="trained on other data"):
        resume(Workdir.at(saved), state_of(0), lambda line: None, data="other rows")
    with pytest.raises(UserError, match="does not hold the arrays of this config") as caught:
        resume(Workdir.at(saved), state_of(0, width=4), lambda line: None, data="rows")
    assert "\n" not in str(caught.value)


def test_too_little_space_is_decided_for_all_and_nothing_is_begun(tmp_path, monkeypatch):
    asked = []

    def decide(choose):
        asked.append(choose)
        return choose()

    monkeypatch.setattr(saver_module.distributed, "decide", decide)
    monkeypatch.setattr(orbax, "free_bytes", lambda path: 10)
    metadata = manifest.Metadata("pretraining", 0, ModelConfig(), "vocab.txt")
    workdir = Workdir.at(tmp_path / "run")
    writer = orbax.CheckpointWriter(workdir.shared)
    save = Saver(writer, workdir, metadata, tiny_tokenizer(tmp_path))
    with pytest.raises(UserError, match="of disk are needed and 10 bytes are free there"):
        save(2, state_of(2))
    assert len(asked) == 1 and save.newest() == "none"


def test_an_evaluation_is_known_by_its_line(tmp_path):
    save = Saver(orbax.CheckpointWriter(tmp_path), Workdir.at(tmp_path), None, None)
    assert not save.is_evaluated(2)
    lines = [{"step": 2, "loss": None}, {"step": 4, "loss": 1.0}, {"step": 4, "heldout_loss": 1.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(v) + "\n" for v in lines))
    assert save.is_evaluated(4) and not save.is_evaluated(2)
