"""What a compiled training step costs: memory, arithmetic, traffic, messages.

XLA's cost analysis counts the body of a loop once, and a Pallas kernel not at all. Both are
corrected here: the step is compiled again with loop bodies of more rounds, whose difference is
what a round costs. For the kernels are added their FLOPs by the formula and, as if each were read
or written once, the bytes of their inputs and outputs.
FLOPs so corrected are those of the unrolled step to 1 %. Its bytes are fewer than the scanned
step's, so that the correction of bytes cannot be held against anything: it is an estimate.
"""

import dataclasses
import re
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from biobert_jax.aot.hlo import Collective, collectives, kernel_bytes
from biobert_jax.aot.program import Program
from biobert_jax.errors import UserError
from biobert_jax.model.attention import choose
from biobert_jax.model.loops import LAYERS, MICRO_BATCHES
from biobert_jax.training.flops import feed_forward_flops, training_flops

_DOES_NOT_FIT = re.compile(r"Used ([\d.]+)([KMG]) of ([\d.]+)([KMG]) hbm")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True)
class Costs:
    """A step's costs on one chip.

    Attributes:
      flops: floating point operations.
      bytes: read and written, as the compiler counts them: some that stay on the chip among them.
    """

    flops: float
    bytes: float

    def __add__(self, other: "Costs") -> "Costs":
        return Costs(self.flops + other.flops, self.bytes + other.bytes)

    def __mul__(self, factor: float) -> "Costs":
        return Costs(self.flops * factor, self.bytes * factor)


class Outputs(NamedTuple):
    """What predicts: the program, and bytes of a chip's memory that are held beside it."""

    lowered: Any
    waiting_bytes: int


@dataclass(frozen=True)
class Report:
    """What `biobert compile` answers; its fields are the keys of the JSON file.

    The four from `flops_per_chip` on are None where the step does not fit, and so is not compiled.

    Attributes:
      fits: whether both of the next two do.
      hbm_bytes: what a chip's memory must hold at once: state, batch, intermediates, program.
      outputs_hbm_bytes: the same while a task's outputs are computed, for evaluation and scores,
        beside an optimizer's state that waits; None: not looked at.
      flops_per_chip, bytes_per_chip: of a step, as the compiler counts them, with loops and
        kernels corrected for.
      model_flops_per_chip: by the formula of `training/flops.py`.
      roofline_seconds: the longer of the times that the arithmetic at the chip's peak and the
        traffic at its memory's bandwidth take: a bound from below on a step's time.
      roofline_utilization: of the peak, by the model's FLOPs, in that time.
    """

    topology: str
    slices: int
    layout: str
    attention: str
    feed_forward: str
    scan_layers: bool
    remat: str
    accumulation_steps: int
    gradient_dtype: str
    max_seq_length: int
    parameters: int
    chips: int
    rows_per_chip: float
    fits: bool
    hbm_bytes: int
    hbm_limit_bytes: int
    hbm_fraction: float
    outputs_hbm_bytes: int | None
    flops_per_chip: float | None
    bytes_per_chip: float | None
    model_flops_per_chip: float
    roofline_seconds: float | None
    roofline_utilization: float | None
    collectives: list[dict[str, Any]]
    compile_seconds: float


def analyse(program: Program, *, costs: bool = True, outputs: Outputs | None = None) -> Report:
    """Compiles a step, more than once where it has loops, and says what it costs.

    Args:
      costs: False leaves out what needs compiling again.
      outputs: what predicts with the same parameters, and must fit too.

    Raises:
      UserError: the batch or the devices cannot be dealt out as the config says.
    """
    config, chip = program.config, program.topology.chip
    lowered = program.lower()
    began = time.monotonic()
    compiled, needed = _compile(lowered)
    predicts, predicting = _compile(outputs.lowered) if outputs else (None, None)
    seconds = time.monotonic() - began
    if predicting is not None:
        predicting += outputs.waiting_bytes
    messages: list[Collective] = collectives(compiled.as_text()) if compiled is not None else []
    total = step_costs(program, compiled) if compiled is not None and costs else None
    bound = None
    if total is not None:
        bound = max(total.flops / chip.peak_flops, total.bytes / chip.hbm_bandwidth)
    model_flops = program.model_flops_per_chip
    parameters = jax.tree.leaves(lowered.in_avals[0][0].params)
    return Report(
        topology=program.topology.name,
        slices=program.topology.slices,
        layout=config.mesh.layout,
        attention=attention_of(program),
        feed_forward=config.model.feed_forward,
        scan_layers=config.model.scan_layers,
        remat=config.model.remat,
        accumulation_steps=config.train.accumulation_steps,
        gradient_dtype=config.train.gradient_dtype,
        max_seq_length=program.format.max_seq_length,
        parameters=sum(x.size for x in parameters),
        chips=program.topology.num_chips,
        rows_per_chip=program.rows_per_chip,
        fits=(
            compiled is not None
            and needed <= chip.hbm_bytes
            and (outputs is None or (predicts is not None and predicting <= chip.hbm_bytes))
        ),
        hbm_bytes=needed,
        hbm_limit_bytes=chip.hbm_bytes,
        hbm_fraction=needed / chip.hbm_bytes,
        outputs_hbm_bytes=predicting,
        flops_per_chip=total.flops if total else None,
        bytes_per_chip=total.bytes if total else None,
        model_flops_per_chip=model_flops,
        roofline_seconds=bound,
        roofline_utilization=model_flops / chip.peak_flops / bound if bound else None,
        collectives=[dataclasses.asdict(message) for message in messages],
        compile_seconds=seconds,
    )


def step_costs(program: Program, compiled: Any) -> Costs:
    """The costs of a whole step, of which `compiled` is the program.

    With C(a, l) the counted costs of a step whose loops have bodies of a micro-batches and l
    layers, a layer of a micro-batch costs (C(1, l) - C(1, 1)) / (l - 1), and a micro-batch's rest
    what is left of (C(a, 1) - C(1, 1)) / (a - 1).
    """
    config = program.config
    once = counted(compiled)
    layers = config.model.num_hidden_layers if config.model.scan_layers else 1
    micro_batches = config.train.accumulation_steps
    layer = micro_batch = Costs(0, 0)
    if layers > 1:
        layer = _round(program, once, LAYERS, layers)
    if micro_batches > 1:
        micro_batch = _round(program, once, MICRO_BATCHES, micro_batches)
    # The body of the micro-batches' loop, counted once, has the body of a layer in it.
    total = once + layer * (layers - 1)
    total += (micro_batch + layer * (layers - 1)) * (micro_batches - 1)
    return total + Costs(_kernel_flops(program), kernel_bytes(compiled.as_text()))


def counted(compiled: Any) -> Costs:
    """The compiler's own analysis: loops once, kernels not at all."""
    analysis = compiled.cost_analysis()
    return Costs(analysis["flops"], analysis["bytes accessed"])


def attention_of(program: Program) -> str:
    """The implementation of attention that the config's `auto` comes to, or what it names."""
    model = program.config.model
    hidden = model.hidden_size
    if program.config.mesh.layout == "fsdp+tp":
        hidden //= program.config.mesh.tensor
    return choose(
        model.attention,
        model.attention_probs_dropout_prob > 0,
        program.format.max_seq_length,
        hidden,
        model.hidden_size // model.num_attention_heads,
        platform="tpu",
    )


def _round(program: Program, once: Costs, loop: str, rounds: int) -> Costs:
    """The costs of one round of a loop."""
    more = next(count for count in range(2, rounds + 1) if rounds % count == 0)
    again = counted(program.lower(**{loop: more}).compile())
    return (again + once * -1) * (1 / (more - 1))


def _kernel_flops(program: Program) -> float:
    """What the formula gives for the parts of a layer that run in Pallas kernels."""
    model, length = program.config.model, program.format.max_seq_length
    flops = 0.0
    if attention_of(program) != "xla":
        flops += training_flops(model, tokens=0, squared_lengths=length**2, predictions=0)
    if model.feed_forward == "fused":
        flops += feed_forward_flops(model, length)
    return program.rows_per_chip * flops


def _compile(lowered: Any) -> tuple[Any | None, int]:
    """A program and the bytes of a chip's memory that it needs; None where they are too many."""
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        return None, _needed(error)
    return compiled, _memory(compiled)


def _memory(compiled: Any) -> int:
    memory = compiled.memory_analysis()
    return (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes
        + memory.generated_code_size_in_bytes
    )


def _needed(error: Exception) -> int:
    """Bytes that a program the compiler refused for lack of memory would need."""
    match = _DOES_NOT_FIT.search(str(error))
    if match is None:
        raise UserError(f"the compiler refuses the step: {str(error).splitlines()[0]}") from error
    return int(float(match[1]) * _UNITS[match[2]])
