"""Options of XLA that a training step is compiled with, by chip: the one place for them.

They let TPUs sum gradients while the backward pass goes on, by `train.overlap_reductions`. By
default XLA combines all gradients into a few sums at the end, with nothing left to do beside them.

- "auto": on v5p and v6e, whose SparseCores sum while the TensorCores compute: for nothing.
- "always": on v5e too, where a sum is fused with a matrix product of the layer before. Three
  quarters of the bytes are on their way so, for 17 % more traffic of memory and 1.3 GiB more of it
  (BERT-base, by the compiler; `model.feed_forward` "fused" leaves few products to fuse with).
- "never".

AXLearn and MaxText train with the same options. Tried with libtpu 0.0.42, and left out:

- v5e's on v4: its vector memory of 16 MiB does not hold both; reductions stay synchronous there.
- xla_tpu_enable_data_parallel_all_reduce_opt: no effect.
- xla_tpu_scoped_vmem_limit_kib=65536: 8 % less traffic in a layer, 3.4 times the compile time.
"""

from biobert_jax.training.flops import chip_of

_COMBINE = "xla_jf_crs_combiner_threshold_in_bytes"
_SPARSE_CORES = {
    "xla_tpu_enable_sparse_core_collective_offload_all_reduce": "true",
    "xla_tpu_use_tc_device_shape_on_sc": "true",
    "xla_sc_disable_megacore_partitioning": "true",
    "xla_sc_enable_instruction_fusion": "false",
    # About two layers of BERT-base in bfloat16.
    _COMBINE: str(32 * 2**20),
}
_FUSED = {
    "xla_enable_async_all_reduce": "true",
    "xla_tpu_enable_async_collective_fusion": "true",
    "xla_tpu_enable_async_collective_fusion_fuse_all_reduce": "true",
    # Only single arrays are fused: biases are combined, a matrix of BERT-base is not.
    _COMBINE: str(10**6),
}
_OPTIONS = {"TPU v5p": _SPARSE_CORES, "TPU v6e": _SPARSE_CORES, "TPU v5e": _FUSED}


def compiler_options(device_kind: str, overlap: str) -> dict[str, str]:
    """For `jax.jit(…, compiler_options=…)`; none for chips that have none.

    Args:
      device_kind: as `jax.Device.device_kind`.
      overlap: "auto", "always" or "never".
    """
    chip = chip_of(device_kind)
    options = _OPTIONS.get(chip.name, {}) if chip else {}
    wanted = {"auto": options is _SPARSE_CORES, "always": True, "never": False}[overlap]
    return options if wanted else {}
