"""Every setting of a run as frozen, typed dataclasses, and the way into them from a config file.

An experiment file's `get_config()` returns an ml_collections ConfigDict; `resolve` turns it into
one of the dataclasses below, once. Past that point nothing sees a ConfigDict. A key that no
dataclass has is refused with the nearest name that one has.
"""

import dataclasses
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args, get_type_hints

from biobert_jax.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class ModelConfig:
    """The encoder; names and defaults are those of BERT's `bert_config.json` (BERT-base).

    `vocab_size` 0 stands for the vocabulary of the data.
    """

    vocab_size: int = 0
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"  # "gelu" is the exact erf form, "gelu_tanh" the approximation
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    attention: str = "auto"
    scan_layers: bool = True
    dtype: str = "float32"  # of activations; parameters are always float32

    def __post_init__(self):
        for name in ("hidden_size", "num_hidden_layers", "num_attention_heads"):
            _positive(f"model.{name}", getattr(self, name))
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            _dropout_rate(f"model.{name}", getattr(self, name))
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                f"model.hidden_size {self.hidden_size} is not a multiple of "
                f"model.num_attention_heads {self.num_attention_heads}: choose one that is"
            )
        _one_of("model.hidden_act", self.hidden_act, ("gelu", "gelu_tanh", "relu"))
        _one_of("model.attention", self.attention, ("auto", "xla"))
        _one_of("model.dtype", self.dtype, ("float32", "bfloat16"))


# What decides the function that a checkpoint's arrays compute, their shapes first: two models that
# agree here are the same but for dropout and precision.
FUNCTION_FIELDS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "num_attention_heads",
    "hidden_act",
    "layer_norm_eps",
)


@dataclass(frozen=True)
class DataConfig:
    """Where a run's rows come from: a folder that `biobert prepare` wrote, or google's records."""

    dir: str = ""
    files: tuple[str, ...] = ()  # instead of dir: globs of create_pretraining_data.py's TFRecords
    heldout_files: tuple[str, ...] = ()  # as files, to evaluate on
    vocab: str = ""  # that files were made with; "": the one of init
    batch_size: int = 32  # rows over all devices
    num_streams: int = 0  # virtual streams of the global order; 0: as many as the shards allow

    def __post_init__(self):
        _positive("data.batch_size", self.batch_size)
        if self.dir and self.files:
            raise UserError("data.dir and data.files are both set: give one of them")
        for name in ("heldout_files", "vocab"):
            if getattr(self, name) and not self.files:
                raise UserError(
                    f"data.{name} is set without data.files: a folder given with data.dir has its "
                    "own"
                )


@dataclass(frozen=True)
class MaskingConfig:
    """Dynamic masking (BERT: 15 %, of which 80 % [MASK], 10 % random, 10 % unchanged)."""

    rate: float = 0.15
    mask_fraction: float = 0.8
    random_fraction: float = 0.1

    def __post_init__(self):
        if not 0 < self.rate <= 1:
            raise UserError(f"masking.rate is {self.rate}: it must lie in (0, 1]")
        if min(self.mask_fraction, self.random_fraction) < 0 or (
            self.mask_fraction + self.random_fraction > 1
        ):
            raise UserError(
                f"masking.mask_fraction {self.mask_fraction} and masking.random_fraction "
                f"{self.random_fraction} must be at least 0 and at most 1 together"
            )


@dataclass(frozen=True)
class OptimizerConfig:
    """Update rule and schedule; defaults are those of upstream's `optimization.py`."""

    name: str = "bert_adamw"  # no bias correction, as upstream; "adamw" corrects
    learning_rate: float = 1e-4
    warmup_steps: int = 0
    warmup_fraction: float = 0.0  # of num_steps; used where warmup_steps is 0
    power: float = 1.0  # of the polynomial decay to zero; 1 is linear
    weight_decay: float = 0.01
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-6
    clip_norm: float = 1.0  # of the global gradient; 0: no clipping

    def __post_init__(self):
        _one_of("optimizer.name", self.name, ("bert_adamw", "adamw"))
        if self.learning_rate <= 0:
            raise UserError(f"optimizer.learning_rate is {self.learning_rate}: it must be above 0")


@dataclass(frozen=True)
class TrainConfig:
    """How long to train, and when to evaluate, save and log."""

    num_steps: int = 1000
    eval_every: int = 500
    eval_batches: int = 50  # held-out batches an evaluation takes at most
    checkpoint_every: int = 500
    keep_checkpoints: int = 3
    log_every: int = 10

    def __post_init__(self):
        _positive("train.num_steps", self.num_steps)


@dataclass(frozen=True)
class MeshConfig:
    """How arrays lie on the devices. "dp": parameters on every device, rows dealt over all."""

    layout: str = "dp"

    def __post_init__(self):
        _one_of("mesh.layout", self.layout, ("dp",))


@dataclass(frozen=True)
class PretrainConfig:
    """A pre-training run."""

    seed: int = 0
    init: str = ""  # a checkpoint to go on from: Orbax, workdir or Hugging Face folder
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    mesh: MeshConfig = field(default_factory=MeshConfig)

    def __post_init__(self):
        if self.seed < 0:
            raise UserError(f"seed is {self.seed}: it must be at least 0")


@dataclass(frozen=True)
class NerDataConfig:
    """Tagged sentences: files of `token<TAB>label` lines, and how they are packed."""

    dir: str = ""
    train: tuple[str, ...] = ("train.tsv",)
    test: str = "test.tsv"
    eval: str = ""  # scored at every train.eval_every steps; "": only the end is scored
    max_seq_length: int = 128
    batch_size: int = 8  # packed rows over all devices

    def __post_init__(self):
        _positive("data.batch_size", self.batch_size)
        if self.max_seq_length < 8:
            raise UserError(
                f"data.max_seq_length is {self.max_seq_length}: a row needs 8 positions"
            )


@dataclass(frozen=True)
class NerModelConfig:
    """What a fine-tuning run sets of the model; its size comes from the checkpoint."""

    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    attention: str = "auto"
    dtype: str = "float32"

    def __post_init__(self):
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            _dropout_rate(f"model.{name}", getattr(self, name))


@dataclass(frozen=True)
class NerTrainConfig:
    """As TrainConfig, with the length in epochs: `num_steps` 0 means `num_epochs`."""

    num_epochs: float = 3.0
    num_steps: int = 0
    eval_every: int = 0  # 0: once an epoch where data.eval is set
    checkpoint_every: int = 1000
    keep_checkpoints: int = 1
    log_every: int = 10


@dataclass(frozen=True)
class NerConfig:
    """A fine-tuning run for named entity recognition."""

    task: str = "ner"
    seed: int = 0
    init: str = ""
    data: NerDataConfig = field(default_factory=NerDataConfig)
    model: NerModelConfig = field(default_factory=NerModelConfig)
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(name="adamw", warmup_fraction=0.1, eps=1e-8)
    )
    train: NerTrainConfig = field(default_factory=NerTrainConfig)
    mesh: MeshConfig = field(default_factory=MeshConfig)

    def __post_init__(self):
        _one_of("task", self.task, ("ner",))
        if self.seed < 0:
            raise UserError(f"seed is {self.seed}: it must be at least 0")


def resolve(cls: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """Builds the dataclass `cls` from nested `values` (a ConfigDict or a plain dict).

    Raises:
      UserError: a key that `cls` has not, naming the nearest one; a value of another type.
    """
    hints = get_type_hints(cls)
    arguments = {}
    for key, value in values.items():
        _check_key(cls, key, prefix)
        arguments[key] = _coerce(hints[key], value, prefix + key)
    return cls(**arguments)


def apply_overrides(cls: type, values: Mapping[str, Any], overrides: Sequence[str]) -> dict:
    """Returns `values` as a nested dict with each override, `a.b=value`, set.

    Raises:
      UserError: an override without `=`, or of a key that `cls` has not.
    """
    result = json.loads(json.dumps(_plain(values)))
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals:
            raise UserError(f"--config.{override} has no value: write --config.{override}=VALUE")
        *parents, leaf = path.split(".")
        node, node_cls = result, cls
        for depth, parent in enumerate(parents):
            _check_key(node_cls, parent, "".join(p + "." for p in parents[:depth]))
            node_cls = get_type_hints(node_cls)[parent]
            if not dataclasses.is_dataclass(node_cls):
                raise UserError(f"config key {path!r}: {parent!r} has no keys below it")
            node = node.setdefault(parent, {})
        _check_key(node_cls, leaf, "".join(p + "." for p in parents))
        if dataclasses.is_dataclass(get_type_hints(node_cls)[leaf]):
            raise UserError(f"config key {path!r} is a group: set one of its keys instead")
        node[leaf] = text
    return result


def to_json(config: Any) -> str:
    """The resolved config as indented JSON, ending in a line break."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping) or hasattr(value, "items"):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _check_key(cls: type, key: str, prefix: str) -> None:
    names = [f.name for f in dataclasses.fields(cls)]
    if key not in names:
        near = difflib.get_close_matches(key, names, n=1, cutoff=0.4)
        hint = f"did you mean {prefix + near[0]!r}?" if near else f"known: {', '.join(names)}"
        raise UserError(f"config has no key {prefix + key!r}: {hint}")


def _coerce(hint: Any, value: Any, key: str) -> Any:
    """`value` as the type `hint`: text from the command line is parsed, else it must fit."""
    if dataclasses.is_dataclass(hint):
        if isinstance(value, hint):
            return value
        if not hasattr(value, "items"):
            raise UserError(f"config key {key!r} is a group of keys, not {value!r}")
        return resolve(hint, value, key + ".")
    if get_args(hint):  # tuple[str, ...] is the only parametrised type in use
        if isinstance(value, str):
            value = [part for part in value.split(",") if part]
        return tuple(str(part) for part in value)
    try:
        if hint is bool:
            if isinstance(value, str):
                return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
            if isinstance(value, bool):
                return value
        elif hint is int and not isinstance(value, bool):
            if isinstance(value, str):
                return int(value.replace("_", ""))
            if int(value) == value:
                return int(value)
        elif hint is float and not isinstance(value, bool):
            return float(value)
        elif hint is str and isinstance(value, str):
            return value
    except (KeyError, ValueError, TypeError):
        pass
    raise UserError(f"config key {key!r} takes {hint.__name__}, not {value!r}")


def _positive(key: str, value: int) -> None:
    if value < 1:
        raise UserError(f"{key} is {value}: it must be at least 1")


def _dropout_rate(key: str, value: float) -> None:
    if not 0 <= value < 1:
        raise UserError(f"{key} is {value}: it must lie in [0, 1)")


def _one_of(key: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"{key} is {value!r}: {hint}known: {', '.join(known)}")
