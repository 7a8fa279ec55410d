"""Every setting of a fine-tuning run; see `config.py`, whose groups it shares."""

from dataclasses import dataclass, field

from biobert_jax.config import GRADIENT_DTYPES, MINUTES, STEPS, MeshConfig, OptimizerConfig
from biobert_jax.config_checks import (
    check_dropout_rate,
    check_gradient_dtype,
    check_not_negative,
    check_number,
    check_one_of,
    check_path,
    check_positive,
    check_seed,
)
from biobert_jax.errors import UserError

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
        check_path("data.dir", self.dir.removeprefix("tfds:"))
        for name in ("batch_size", "stride", "max_query_length", "max_answer_length", "n_best"):
            check_positive(f"data.{name}", getattr(self, name))
        check_one_of("data.kind", self.kind, TEXT_KINDS)
        check_one_of("data.answer_kind", self.answer_kind, ANSWER_KINDS)
        check_one_of("data.average", self.average, AVERAGES)
        check_one_of("data.class_weights", self.class_weights, ("none", "balanced"))
        check_one_of("data.markers", self.markers, MARKERS)
        check_one_of("data.pooling", self.pooling, POOLING)
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
    scan_layers: bool = True  # one layer compiled once; False: longer to compile, faster steps
    dtype: str = "float32"  # of activations; parameters are always float32

    def __post_init__(self):
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            check_dropout_rate(f"model.{name}", getattr(self, name))


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
            check_positive(f"train.{name}", getattr(self, name))
        counts = ("num_epochs", "num_steps", "eval_every", "patience")
        check_not_negative("train", self, (*counts, *STEPS, *MINUTES))
        if self.patience and not self.best_by:
            raise UserError(
                f"train.patience is {self.patience}: set train.best_by to the score it waits for"
            )
        check_one_of("train.gradient_dtype", self.gradient_dtype, GRADIENT_DTYPES)


@dataclass(frozen=True)
class GridConfig:
    """What `finetune --grid` and `--search` vary, numbers separated by commas; (): not varied.

    A search takes rates between the lowest and the highest.
    """

    learning_rate: tuple[str, ...] = ()  # of optimizer.learning_rate
    batch_size: tuple[str, ...] = ()  # of data.batch_size
    num_epochs: tuple[str, ...] = ()  # of train.num_epochs

    def __post_init__(self):
        for name in ("learning_rate", "batch_size", "num_epochs"):
            for text in getattr(self, name):
                check_number(f"grid.{name}", text)


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
        check_path("init", self.init)
        check_seed(self.seed)
        check_gradient_dtype(self.train.gradient_dtype, self.model.dtype)
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
