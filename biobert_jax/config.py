"""Every setting of a run as frozen, typed dataclasses.

An experiment file's `get_config()` returns an ml_collections ConfigDict; `config_parsing.resolve`
turns it into one of the dataclasses below, once. Past that point nothing sees a ConfigDict. A key
that no dataclass has is refused with the nearest name that one has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from biobert_jax.errors import UserError, nearest

# Names that `model/attention.py`, `model/feed_forward.py`, `model/bert.py` (remat) and
# `training/compiler_options.py` (overlap) explain.
GRADIENT_DTYPES = ("float32", "bfloat16")
REMAT = ("none", "dots", "full")
ATTENTION = ("auto", "xla", "fused", "splash", "cudnn", "triton")
FEED_FORWARD = ("xla", "fused")
OVERLAP = ("auto", "always", "never")

_STEPS = ("checkpoint_every", "permanent_every", "log_every")
_MINUTES = ("temporary_minutes", "watchdog_minutes")
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
            _positive(f"model.{name}", getattr(self, name))
        _not_negative("model", self, ("vocab_size", "layer_norm_eps", "initializer_range"))
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            _dropout_rate(f"model.{name}", getattr(self, name))
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                f"model.hidden_size {self.hidden_size} is not a multiple of "
                f"model.num_attention_heads {self.num_attention_heads}: choose one that is"
            )
        _one_of("model.hidden_act", self.hidden_act, ("gelu", "gelu_tanh", "relu"))
        _one_of("model.attention", self.attention, ATTENTION)
        _one_of("model.feed_forward", self.feed_forward, FEED_FORWARD)
        _one_of("model.remat", self.remat, REMAT)
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
# What decides only how it is computed, on the devices of one run.
COMPUTE_FIELDS = ("attention", "feed_forward", "scan_layers", "remat")


@dataclass(frozen=True)
class PhaseConfig:
    """A stretch of a run with rows, and so a length and a batch size, of its own."""

    dir: str = ""  # as data.dir
    batch_size: int = 32  # rows over all devices
    start_step: int = 0  # it lasts until the next phase starts, the last one until num_steps

    def __post_init__(self):
        _local("data.phases.dir", self.dir)
        _positive("data.phases.batch_size", self.batch_size)


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

    def __post_init__(self):
        for name in ("dir", "files", "heldout_files", "vocab"):
            _local(f"data.{name}", getattr(self, name))
        _positive("data.batch_size", self.batch_size)
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
        _one_of("optimizer.name", self.name, ("bert_adamw", "adamw", "lamb", "muon"))
        _one_of("optimizer.schedule", self.schedule, ("polynomial", "cosine", "wsd", "constant"))
        if self.learning_rate <= 0:
            raise UserError(f"optimizer.learning_rate is {self.learning_rate}: it must be above 0")
        amounts = ("clip_norm", "weight_decay", "warmup_steps", "power", "eps", "frozen_layers")
        _not_negative("optimizer", self, amounts)
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
            _positive(f"train.{name}", getattr(self, name))
        _not_negative("train", self, ("eval_every", *_STEPS, *_MINUTES))
        _one_of("train.gradient_dtype", self.gradient_dtype, GRADIENT_DTYPES)
        _one_of("train.overlap_reductions", self.overlap_reductions, OVERLAP)


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
        _one_of("mesh.layout", self.layout, ("dp", "fsdp", "fsdp+tp"))
        _not_negative("mesh", self, ("fsdp", "slices"))
        _positive("mesh.tensor", self.tensor)


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
        _local("init", self.init)
        _seed(self.seed)
        _gradient_dtype(self.train.gradient_dtype, self.model.dtype)
        late = [p.start_step for p in self.data.phases if p.start_step >= self.train.num_steps]
        if late:
            raise UserError(
                f"data.phases has a phase from step {late[0]} on, but train.num_steps is "
                f"{self.train.num_steps}: let it start earlier, or train longer"
            )


# Kinds of `data.kind`: classes that exclude each other, any number of classes, a number.
TEXT_KINDS = ("single", "multi_label", "regression")
ANSWER_KINDS = ("span", "factoid", "list")
AVERAGES = ("micro", "macro", "binary")
MARKERS = ("none", "anonymize", "tags")
POOLING = ("cls", "markers")


@dataclass(frozen=True)
class FinetuneDataConfig:
    """Annotated examples, and how they are packed. Keys after batch_size are single tasks' own:
    `biobert config` and each task's module say which; another task refuses them.
    """

    dir: str = ""  # the folder of the files; tfds:BUILDER/SET, a prepared set (docs/tasks.md)
    format: str = ""  # of the files; "": by their names and what is in them
    train: tuple[str, ...] = ("train.tsv",)  # files of dir to train on
    test: str = "test.tsv"  # scored at the end; "": nothing is
    eval: str = ""  # scored at every train.eval_every steps; "": only the end is scored
    max_seq_length: int = 128  # positions a packed row; longer texts are cut into windows
    batch_size: int = 8  # packed rows over all devices
    entity_type: str = "entity"  # ner: what labels without a type (B, I) mark, such as Disease
    types: tuple[str, ...] = ()  # ner: types to take, Gene or FamilyName=Gene to rename; (): all
    kind: str = "single"  # classification: single, multi_label or regression
    labels: tuple[str, ...] = ()  # classification: in the outputs' order; (): those of the files
    excluded_labels: tuple[str, ...] = ()  # classification: left out of micro averages
    positive_label: str = ""  # classification: whose F1 counts where average is binary
    average: str = "micro"  # classification: micro, macro or binary: of the score that counts
    class_weights: str = "none"  # classification: none, or balanced: rare classes weigh more
    markers: str = "none"  # classification: none, anonymize (@TYPE$) or tags around mentions
    pooling: str = "cls"  # classification: what is classified: [CLS], or the markers' vectors
    answer_kind: str = "span"  # qa: span (SQuAD), factoid or list (BioASQ): how it is scored
    stride: int = 128  # qa: pieces from the start of a window to that of the next
    max_query_length: int = 64  # qa: pieces of a question; longer ones are cut
    max_answer_length: int = 30  # qa: pieces of an answer
    n_best: int = 20  # qa: answers kept a question
    no_answer: bool = False  # qa: a passage may hold no answer (SQuAD 2.0)
    list_threshold: float = 0.42  # qa: the least probability of a list's answers (Yoon 2019)

    def __post_init__(self):
        _local("data.dir", self.dir.removeprefix("tfds:"))
        for name in ("batch_size", "stride", "max_query_length", "max_answer_length", "n_best"):
            _positive(f"data.{name}", getattr(self, name))
        _one_of("data.kind", self.kind, TEXT_KINDS)
        _one_of("data.answer_kind", self.answer_kind, ANSWER_KINDS)
        _one_of("data.average", self.average, AVERAGES)
        _one_of("data.class_weights", self.class_weights, ("none", "balanced"))
        _one_of("data.markers", self.markers, MARKERS)
        _one_of("data.pooling", self.pooling, POOLING)
        if self.entity_type.split() != [self.entity_type]:
            raise UserError(
                f"data.entity_type is {self.entity_type!r}: give one word, such as Disease"
            )
        for name in self.types:
            old, equals, new = name.partition("=")
            if not old or (equals and not new):
                raise UserError(
                    f"data.types has {name!r}: give a type, or TYPE=NAME to call it NAME"
                )
        if self.max_seq_length < 8:
            raise UserError(
                f"data.max_seq_length is {self.max_seq_length}: a row needs 8 positions"
            )


@dataclass(frozen=True)
class FinetuneModelConfig:
    """What a fine-tuning run sets of the model; its size comes from the checkpoint."""

    hidden_dropout_prob: float = 0.1  # dropout of embeddings and of each layer's two outputs
    attention_probs_dropout_prob: float = 0.1  # dropout of attention weights
    attention: str = "auto"  # auto, xla, fused, splash, cudnn, triton: how it is computed
    dtype: str = "float32"  # of activations; parameters are always float32

    def __post_init__(self):
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            _dropout_rate(f"model.{name}", getattr(self, name))


@dataclass(frozen=True)
class FinetuneTrainConfig:
    """As TrainConfig, with the length in epochs: `num_steps` 0 means `num_epochs`."""

    num_epochs: float = 3.0  # passes over the training data
    num_steps: int = 0  # updates; 0: num_epochs
    accumulation_steps: int = 1  # micro-batches that a batch is dealt into
    gradient_dtype: str = "float32"  # in which gradients are summed over the devices
    eval_every: int = 0  # 0: once an epoch where data.eval is set
    best_by: str = ""  # a score of data.eval whose best step is the result; "": the last step is
    patience: int = 0  # evaluations without a better train.best_by that end the run; 0: none do
    checkpoint_every: int = 1000  # steps between checkpoints; the end is always saved
    keep_checkpoints: int = 1  # the newest; older ones are deleted
    permanent_every: int = 0  # steps between checkpoints that are never deleted; 0: none
    temporary_minutes: float = 0.0  # a checkpoint when so long without one; the next replaces it
    max_nonfinite_steps: int = 10  # updates in a row skipped as not finite before the run stops
    watchdog_minutes: float = 30.0  # a step that takes longer ends the run; 0: never
    log_every: int = 10  # steps between lines of metrics.jsonl

    def __post_init__(self):
        for name in ("accumulation_steps", "max_nonfinite_steps"):
            _positive(f"train.{name}", getattr(self, name))
        counts = ("num_epochs", "num_steps", "eval_every", "patience")
        _not_negative("train", self, (*counts, *_STEPS, *_MINUTES))
        if self.patience and not self.best_by:
            raise UserError(
                f"train.patience is {self.patience}: set train.best_by to the score it waits for"
            )
        _one_of("train.gradient_dtype", self.gradient_dtype, GRADIENT_DTYPES)


@dataclass(frozen=True)
class GridConfig:
    """What `finetune --grid` and `--search` vary, numbers separated by commas; (): not varied.

    A search takes rates between the lowest and the highest.
    """

    learning_rate: tuple[str, ...] = ()  # of optimizer.learning_rate
    batch_size: tuple[str, ...] = ()  # of data.batch_size
    num_epochs: tuple[str, ...] = ()  # of train.num_epochs


@dataclass(frozen=True)
class FinetuneConfig:
    """A fine-tuning run: of a task on annotated data, from a checkpoint."""

    task: str = "ner"  # what is fine-tuned: ner, classification or qa
    seed: int = 0  # of new weights, masks, dropout and the order of rows
    init: str = ""  # the checkpoint to fine-tune: Orbax, workdir or Hugging Face folder
    reinitialize_head: bool = False  # go on from another task's checkpoint, with a new head
    data: FinetuneDataConfig = field(default_factory=FinetuneDataConfig)
    model: FinetuneModelConfig = field(default_factory=FinetuneModelConfig)
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(name="adamw", warmup_fraction=0.1, eps=1e-8)
    )
    train: FinetuneTrainConfig = field(default_factory=FinetuneTrainConfig)
    mesh: MeshConfig = field(default_factory=MeshConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    retrain: bool = False  # train again on data.train and data.eval together, as BioBERT's authors
    paper: str = ""  # published figures, to stand beside those of several runs

    def __post_init__(self):
        _local("init", self.init)
        _seed(self.seed)
        _gradient_dtype(self.train.gradient_dtype, self.model.dtype)
        if self.train.best_by and self.retrain:
            raise UserError(
                "train.best_by chooses by data.eval, which retrain trains on: leave one of them "
                "out; finetune --grid with grid.num_epochs chooses the length for both"
            )
        if self.train.best_by and not self.data.eval:
            raise UserError("train.best_by: set data.eval to the file that it chooses by")
        if self.train.best_by and self.data.eval in (self.data.test, *self.data.train):
            raise UserError(
                f"train.best_by: data.eval {self.data.eval} is also tested or trained on: choose "
                "by a file of its own"
            )


def _seed(seed: int) -> None:
    if seed < 0:
        raise UserError(f"seed is {seed}: it must be at least 0")


def _local(key: str, paths: str | Sequence[str]) -> None:
    for path in (paths,) if isinstance(paths, str) else paths:
        if "://" in path:
            raise UserError(f"{key} {path}: only local paths in this version: copy the files here")


def _gradient_dtype(gradients: str, activations: str) -> None:
    if gradients == "bfloat16" and activations != "bfloat16":
        raise UserError(
            "train.gradient_dtype bfloat16 needs model.dtype bfloat16: a float32 model would be "
            "computed with parameters cut to bfloat16"
        )


def _positive(key: str, value: int) -> None:
    if value < 1:
        raise UserError(f"{key} is {value}: it must be at least 1")


def _not_negative(group: str, config: object, names: Sequence[str]) -> None:
    for name in names:
        if getattr(config, name) < 0:
            raise UserError(f"{group}.{name} is {getattr(config, name)}: it must be at least 0")


def _dropout_rate(key: str, value: float) -> None:
    if not 0 <= value < 1:
        raise UserError(f"{key} is {value}: it must lie in [0, 1)")


def _one_of(key: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        near = nearest(value, known)
        hint = f"did you mean {near!r}? " if near else ""
        raise UserError(f"{key} is {value!r}: {hint}known: {', '.join(known)}")
