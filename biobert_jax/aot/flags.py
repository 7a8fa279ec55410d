"""Options of the TPU compiler that training is compiled with."""

# For `jax.stages.Lowered.compile(compiler_options=…)`.
COMPILER_OPTIONS: dict[str, str] = {}


def libtpu_init_args() -> str:
    """The same for a whole process on a TPU: the value of the variable LIBTPU_INIT_ARGS."""
    return " ".join(f"--{name}={value}" for name, value in COMPILER_OPTIONS.items())
