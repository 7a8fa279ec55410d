"""What a compiled program's text tells of collectives and kernels, as often as loops run them."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_SIZES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "f32": 4}
_SIZES |= {"s32": 4, "u32": 4, "f64": 8, "s64": 8, "u64": 8, "c64": 8}

_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*?) ([a-z][\w\-]*)\((.*)$")
_KERNEL = 'custom_call_target="tpu_custom_call"'
_CALLED = re.compile(
    r"(?:calls|to_apply|body|condition|branch_computations)=(?:\{([^}]*)\}|(%?[\w.\-]+))"
)
_CONDITION = re.compile(r"condition=%?([\w.\-]+)")
_CONSTANT = re.compile(r"^(\d+)\)")
_ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")


@dataclass(frozen=True)
class Collective:
    """Messages of one kind between chips, in a step.

    Attributes:
      kind: one of `KINDS`.
      count: how many there are, those in loops as often as they run.
      bytes: of all of them together, on each chip: the arrays reduced, or gathered.
      asynchronous: whether the chips compute while they are under way.
    """

    kind: str
    count: int
    bytes: int
    asynchronous: bool


def collectives(text: str) -> list[Collective]:
    """The collectives of an optimised module's text, alike ones summed up."""
    instructions, entry = _read(text)
    times = _times_run(instructions, entry)
    started = {
        called
        for lines in instructions.values()
        for _, _, operation, rest in lines
        if operation in ("call-start", "async-start")
        for called in _called(rest)
    }
    any_fused = any(name.startswith("async_collective_fusion") for name in instructions)
    counts: Counter = Counter()
    sizes: Counter = Counter()
    for computation, lines in instructions.items():
        # What a start-instruction wraps runs while others do; so does what is fused with them,
        # which stands twice more, in the fusions that begin and end it.
        wrapped = "async" in computation or computation in started
        if not wrapped and any_fused and computation.startswith("fused_computation"):
            continue
        types = {name: result for name, result, _, _ in lines}
        for name, result, operation, rest in lines:
            kind = operation.removesuffix("-start")
            if kind not in KINDS or not times[computation]:
                continue
            key = kind, operation.endswith("-start") or wrapped or "async" in name
            size = _bytes(result)
            if operation.endswith("-start"):  # its result holds the operands too
                size -= _operand_bytes(rest, types)
            elif kind == "reduce-scatter":
                size = _operand_bytes(rest, types)
            counts[key] += times[computation]
            sizes[key] += size * times[computation]
    return [Collective(k, counts[k, a], sizes[k, a], a) for k, a in sorted(counts)]


def kernel_bytes(text: str) -> int:
    """Bytes that Pallas kernels read and write: their operands and results, each once.

    XLA's cost analysis counts nothing for them.
    """
    instructions, entry = _read(text)
    times = _times_run(instructions, entry)
    total = 0
    for computation, lines in instructions.items():
        types = {name: result for name, result, _, _ in lines}
        for _, result, operation, rest in lines:
            if operation == "custom-call" and _KERNEL in rest:
                size = _bytes(result) + _operand_bytes(rest, types)
                total += size * times[computation]
    return total


def _operand_bytes(rest: str, types: dict[str, str]) -> int:
    names = re.findall(r"%([\w.\-]+)", rest.split(")")[0])
    return sum(_bytes(types.get(name, "")) for name in names)


def _read(text: str) -> tuple[dict[str, list[tuple[str, str, str, str]]], str]:
    """Instructions (name, type, operation, the rest) by computation, and the entry's name."""
    computations: dict[str, list[tuple[str, str, str, str]]] = {}
    entry = current = ""
    for line in text.splitlines():
        if match := _COMPUTATION.match(line):
            current = match[1]
            computations[current] = []
            entry = current if line.startswith("ENTRY") else entry
        elif current and (match := _INSTRUCTION.match(line)):
            computations[current].append(match.groups())
    return computations, entry


def _times_run(instructions, entry: str) -> Counter:
    """How often a step runs each computation."""
    times: Counter = Counter()

    def visit(computation: str, count: int) -> None:
        times[computation] += count
        for _, _, operation, rest in instructions.get(computation, ()):
            rounds = _rounds(instructions, rest) if operation == "while" else 1
            for called in _called(rest):
                visit(called, count * rounds)

    visit(entry, 1)
    return times


def _rounds(instructions, rest: str) -> int:
    """How often a loop runs, from the number that its condition compares a counter from 0 with."""
    condition = _CONDITION.search(rest)
    limits = [
        int(match[1])
        for _, result, operation, value in instructions.get(condition[1] if condition else "", ())
        if operation == "constant" and result.startswith("s32[]")
        if (match := _CONSTANT.match(value))
    ]
    return max(limits, default=1)


def _called(rest: str) -> Iterator[str]:
    for several, one in _CALLED.findall(rest):
        for name in (several or one).split(","):
            yield name.strip().lstrip("%")


def _bytes(types: str) -> int:
    """Bytes of all arrays in a type, a tuple's summed."""
    total = 0
    for name, dimensions in _ARRAY.findall(types):
        size = _SIZES.get(name, 0)
        for dimension in filter(None, dimensions.split(",")):
            size *= int(dimension)
        total += size
    return total
