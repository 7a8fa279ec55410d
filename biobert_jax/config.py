"""Every setting of a run as frozen, typed dataclasses.

An experiment file's `get_config()` returns an ml_collections ConfigDict; `config_parsing.resolve`
turns it into one of the dataclasses below, once. Past that point nothing sees a ConfigDict. A key
that no dataclass has is refused with the nearest name that one has.
"""

from dataclasses import dataclass, field

from biobert_jax.config_checks import (
    check_dropout_rate,
    check_gradient_dtype,
    check_local,
    check_not_negative,
    check_one_of,
    check_path,
    check_positive,
    check_seed,
)
from biobert_jax.errors import UserError

# Names that `model/attention.py`, `model/feed_forward.py`, `model/bert.py` (remat) and
# `training/compiler_options.py` (overlap) explain.
GRADIENT_DTYPES = ("float32", "bfloat16")
REMAT = ("none", "dots", "full")
ATTENTION = ("auto", "xla", "fused", "splash", "cudnn", "triton")
FEED_FORWARD = ("xla", "fused")
OVERLAP = ("auto", "always", "never")

STEPS = ("checkpoint_every", "permanent_every", "log_every")
MINUTES = ("temporary_minutes", "watchdog_minutes")
_SIZES = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("max_position_embeddings", "type_vocab_size"),
)


@dataclass(frozen=True)
class ModelConfig:
    """The encoder; names and defaults are those of BERT's `bert_config.json` (BERT-base).

    `vocab_size` 0 stands for the vocabulary of the data.
    """

    vocab_size: int = 0  # 0: that of the data
    hidden_size: int = 768  # of every token, between layers
    num_hidden_layers: int = 12  # encoder layers
    num_attention_heads: int = 12  # hidden_size is a multiple of it
    intermediate_size: int = 3072  # of the feed-forward layers
    hidden_act: str = "gelu"  # "gelu" is the exact erf form, "gelu_tanh" the approximation
    hidden_dropout_prob: float = 0.1  # dropout of embeddings and of each layer's two outputs
    attention_probs_dropout_prob: float = 0.1  # dropout of attention weights
    max_position_embeddings: int = 512  # the longest sequence
    type_vocab_size: int = 2  # segments; sentence pairs need 2
    layer_norm_eps: float = 1e-12  # added to variances
    initializer_range: float = 0.02  # standard deviation of new weights
    attention: str = "auto"  # auto, xla, fused, splash, cudnn, triton: how it is computed
    feed_forward: str = "xla"  # xla or fused
    scan_layers: bool = True  # one layer compiled once; False unrolls them
    remat: str = "none"  # what the backward pass computes again rather than keeps
    dtype: str = "float32"  # of activations; parameters are always float32

    def __post_init__(self):
        for name in _SIZES:
            check_positive(f"model.{name}", getattr(self, name))
        check_not_negative("model", self, ("vocab_size", "layer_norm_eps", "initializer_range"))
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            check_dropout_rate(f"model.{name}", getattr(self, name))
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                f"model.hidden_size {self.hidden_size} is not a multiple of "
                f"model.num_attention_heads {self.num_attention_heads}: choose one that is"
            )
        check_one_of("model.hidden_act", self.hidden_act, ("gelu", "gelu_tanh", "relu"))
        check_one_of("model.attention", self.attention, ATTENTION)
        check_one_of("model.feed_forward", self.feed_forward, FEED_FORWARD)
        check_one_of("model.remat", self.remat, REMAT)
        check_one_of("model.dtype", self.dtype, ("float32", "bfloat16"))


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
# What decides only how it is computed, on the devices of one run.
COMPUTE_FIELDS = ("attention", "feed_forward", "scan_layers", "remat")


@dataclass(frozen=True)
class PhaseConfig:
    """A stretch of a run with rows, and so a length and a batch size, of its own."""

    dir: str = ""  # as data.dir
    batch_size: int = 32  # rows over all devices
    start_step: int = 0  # it lasts until the next phase starts, the last one until num_steps

    def __post_init__(self):
        check_path("data.phases.dir", self.dir)
        check_positive("data.phases.batch_size", self.batch_size)


@dataclass(frozen=True)
class DataConfig:
    """Where a run's rows come from: a folder that `biobert prepare` or `export` wrote, google's
    records, or a folder a phase (upstream: 9 of 10 steps on rows of 128, the rest on 512).
    """

    dir: str = ""  # a folder of `biobert prepare` or `biobert export`
    phases: tuple[PhaseConfig, ...] = ()  # instead of dir and batch_size
    files: tuple[str, ...] = ()  # instead of dir: globs of create_pretraining_data.py's TFRecords
    heldout_files: tuple[str, ...] = ()  # as files, to evaluate on
    vocab: str = ""  # that files were made with; "": the one of init
    batch_size: int = 32  # rows over all devices
    num_streams: int = 0  # virtual streams of the global order; 0: as many as the shards allow
    staging_gb: float = 20.0  # 10^9 bytes of this host's disk for shards of a dir in a bucket

    def __post_init__(self):
        check_path("data.dir", self.dir)
        for name in ("files", "heldout_files", "vocab"):
            check_local(f"data.{name}", getattr(self, name))
        if not self.staging_gb > 0:
            raise UserError(f"data.staging_gb is {self.staging_gb}: it must be above 0")
        check_positive("data.batch_size", self.batch_size)
        given = [name for name in ("dir", "files", "phases") if getattr(self, name)]
        if len(given) > 1:
            raise UserError(f"data.{given[0]} and data.{given[1]} are both set: give one of them")
        starts = [phase.start_step for phase in self.phases]
        if starts and (starts[0] != 0 or sorted(set(starts)) != starts):
            raise UserError(
                f"data.phases start at steps {starts}: the first must start at 0, and each later "
                "than the one before"
            )
        for name in ("heldout_files", "vocab"):
            if getattr(self, name) and not self.files:
                raise UserError(
                    f"data.{name} is set without data.files: a folder given with data.dir has its "
                    "own"
                )


@dataclass(frozen=True)
class MaskingConfig:
    """Dynamic masking (BERT: 15 %, of which 80 % [MASK], 10 % random, 10 % unchanged)."""

    rate: float = 0.15  # share of the tokens that are predicted
    whole_word: bool = False  # a word's pieces are hidden all together or not at all
    mask_fraction: float = 0.8  # of these, shown as [MASK]
    random_fraction: float = 0.1  # shown as another token; the rest is shown as it is

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
    learning_rate: float = 1e-4  # the highest, at the end of the warm-up
    schedule: str = "polynomial"  # after the warm-up; "wsd": stable, then linear decay
    warmup_steps: int = 0  # from 0 to learning_rate, linearly
    warmup_fraction: float = 0.0  # of num_steps; used where warmup_steps is 0
    power: float = 1.0  # of the polynomial decay; 1 is linear
    decay_fraction: float = 0.2  # "wsd": the share of num_steps that the decay takes, at the end
    end_fraction: float = 0.0  # the last rate, as a share of learning_rate
    layer_decay: float = 1.0  # each layer's rate is this times that of the layer above it
    muon_learning_rate: float = 0.0  # "muon": the matrices' rate; 0: learning_rate too
    weight_decay: float = 0.01  # of matrices and embeddings; not of biases and LayerNorms
    b1: float = 0.9  # decay of the mean of gradients
    b2: float = 0.999  # decay of the mean of squared gradients
    eps: float = 1e-6  # added to the root of the latter
    clip_norm: float = 1.0  # of the global gradient; 0: no clipping
    frozen: tuple[str, ...] = ()  # patterns of parameters that stay as they are: bert/embeddings
    frozen_layers: int = 0  # the embeddings and so many layers above them stay as they are

    def __post_init__(self):
        check_one_of("optimizer.name", self.name, ("bert_adamw", "adamw", "lamb", "muon"))
        check_one_of(
            "optimizer.schedule", self.schedule, ("polynomial", "cosine", "wsd", "constant")
        )
        if self.learning_rate <= 0:
            raise UserError(f"optimizer.learning_rate is {self.learning_rate}: it must be above 0")
        amounts = ("clip_norm", "weight_decay", "warmup_steps", "power", "eps", "frozen_layers")
        check_not_negative("optimizer", self, amounts)
        for name in ("b1", "b2"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"optimizer.{name} is {getattr(self, name)}: it must lie in [0, 1)")
        for name in ("decay_fraction", "end_fraction", "layer_decay", "warmup_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"optimizer.{name} is {getattr(self, name)}: it must lie in [0, 1]")


@dataclass(frozen=True)
class TrainConfig:
    """How long to train, and when to evaluate, save and log."""

    num_steps: int = 1000  # updates, all phases together
    accumulation_steps: int = 1  # micro-batches that a batch is dealt into, one after another
    gradient_dtype: str = "float32"  # in which gradients are summed over the devices
    overlap_reductions: str = "auto"  # these sums beside the backward pass, on TPUs
    eval_every: int = 500  # steps between evaluations; the end is always evaluated
    eval_batches: int = 50  # held-out batches an evaluation takes at most
    checkpoint_every: int = 500  # steps between checkpoints; the end is always saved
    keep_checkpoints: int = 3  # the newest; older ones are deleted
    permanent_every: int = 0  # steps between checkpoints that are never deleted; 0: none
    temporary_minutes: float = 0.0  # a checkpoint when so long without one; the next replaces it
    max_nonfinite_steps: int = 10  # updates in a row skipped as not finite before the run stops
    watchdog_minutes: float = 30.0  # a step that takes longer ends the run; 0: never
    log_every: int = 10  # steps between lines of metrics.jsonl

    def __post_init__(self):
        counts = ("num_steps", "accumulation_steps", "max_nonfinite_steps", "eval_batches")
        for name in counts:
            check_positive(f"train.{name}", getattr(self, name))
        check_not_negative("train", self, ("eval_every", *STEPS, *MINUTES))
        check_one_of("train.gradient_dtype", self.gradient_dtype, GRADIENT_DTYPES)
        check_one_of("train.overlap_reductions", self.overlap_reductions, OVERLAP)


@dataclass(frozen=True)
class MeshConfig:
    """How arrays lie on the devices; `model/partitioning.py` has the table.

    "dp": parameters on every device, rows dealt over all. "fsdp": parameters and optimizer state
    dealt over the devices too. "fsdp+tp": matrices also dealt over a `tensor` axis.
    """

    layout: str = "dp"  # dp, fsdp or fsdp+tp
    fsdp: int = 0  # size of the fsdp axis; 0: what divides the devices, up to 16
    tensor: int = 2  # size of the tensor axis, in layout "fsdp+tp"
    slices: int = 0  # TPU slices that the data axis spans; 0: as many as there are

    def __post_init__(self):
        check_one_of("mesh.layout", self.layout, ("dp", "fsdp", "fsdp+tp"))
        check_not_negative("mesh", self, ("fsdp", "slices"))
        check_positive("mesh.tensor", self.tensor)


@dataclass(frozen=True)
class PretrainConfig:
    """A pre-training run."""

    seed: int = 0  # of new weights, masks, dropout and the order of rows
    init: str = ""  # a checkpoint to go on from: Orbax, workdir or Hugging Face folder
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    mesh: MeshConfig = field(default_factory=MeshConfig)

    def __post_init__(self):
        check_path("init", self.init)
        check_seed(self.seed)
        check_gradient_dtype(self.train.gradient_dtype, self.model.dtype)
        late = [p.start_step for p in self.data.phases if p.start_step >= self.train.num_steps]
        if late:
            raise UserError(
                f"data.phases has a phase from step {late[0]} on, but train.num_steps is "
                f"{self.train.num_steps}: let it start earlier, or train longer"
            )
