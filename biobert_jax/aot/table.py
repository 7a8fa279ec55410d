"""A report as lines for people, and what to change where a step does not fit."""

from biobert_jax.aot.cost import Report
from biobert_jax.training.flops import Chip


def table(report: Report, chip: Chip) -> str:
    """The report, one figure a line."""
    slices = f" x {report.slices} slices" if report.slices > 1 else ""
    lines = [
        ("topology", f"{report.topology}{slices}: {report.chips} {chip.name} chips"),
        (
            "step",
            f"{report.rows_per_chip:g} rows of {report.max_seq_length} a chip"
            + (f" in {report.accumulation_steps} parts" if report.accumulation_steps > 1 else "")
            + f", layout {report.layout}, attention {report.attention}, "
            f"feed-forward {report.feed_forward}, "
            f"{'scanned' if report.scan_layers else 'unrolled'} layers, remat {report.remat}, "
            f"gradients in {report.gradient_dtype}",
        ),
        ("parameters", f"{report.parameters / 1e6:.1f} M"),
        (
            "memory",
            f"{report.hbm_bytes / 2**30:.2f} of {report.hbm_limit_bytes / 2**30:.0f} GiB a chip "
            f"({report.hbm_fraction:.0%}): {_word(_step_fits(report))}",
        ),
        *_outputs(report),
        ("model FLOPs", f"{report.model_flops_per_chip / 1e12:.3f} T a chip, by the formula"),
    ]
    if report.roofline_seconds is not None:
        seconds = report.roofline_seconds
        arithmetic = report.flops_per_chip / chip.peak_flops
        traffic = report.bytes_per_chip / chip.hbm_bandwidth
        bound = "arithmetic" if arithmetic >= traffic else "traffic"
        lines += [
            (
                "arithmetic",
                f"{report.flops_per_chip / 1e12:.3f} T FLOPs a chip, {arithmetic * 1e3:.1f} ms",
            ),
            ("traffic", f"{report.bytes_per_chip / 1e9:.2f} GB a chip, {traffic * 1e3:.1f} ms"),
            (
                "roofline",
                f"{seconds * 1e3:.1f} ms a step, bound by {bound}: "
                f"{report.rows_per_chip * report.chips / seconds:,.0f} rows/s, "
                f"{report.roofline_utilization:.1%} of the peak",
            ),
        ]
    for message in report.collectives:
        lines.append(
            (
                message["kind"],
                f"{message['count']}, {message['bytes'] / 1e6:.1f} MB a chip, "
                f"{'asynchronous' if message['asynchronous'] else 'synchronous'}",
            )
        )
    lines.append(("compiled in", f"{report.compile_seconds:.0f} s"))
    text = "\n".join(f"{name:<18} {value}" for name, value in lines)
    if report.fits:
        return text
    return text + "\n\nto make it fit, one or more of:\n" + "\n".join(remedies(report))


def _outputs(report: Report) -> list[tuple[str, str]]:
    if report.outputs_hbm_bytes is None:
        return []
    fits = _word(report.outputs_hbm_bytes <= report.hbm_limit_bytes)
    return [("evaluation", f"{report.outputs_hbm_bytes / 2**30:.2f} GiB a chip: {fits}")]


def _word(fits: bool) -> str:
    return "fits" if fits else "DOES NOT FIT"


def _step_fits(report: Report) -> bool:
    """Whether the step does, where perhaps only the evaluation does not."""
    over = (report.outputs_hbm_bytes or 0) > report.hbm_limit_bytes
    return report.fits or (over and report.hbm_bytes <= report.hbm_limit_bytes)


def remedies(report: Report) -> list[str]:
    """Settings that need less memory, the one that costs least first."""
    found = []
    step_fits = _step_fits(report)  # then it is the evaluation that does not
    if not step_fits and report.accumulation_steps * 2 <= report.rows_per_chip:
        found.append(
            f"  --config.train.accumulation_steps={report.accumulation_steps * 2}   "
            "the same batch in more parts"
        )
    if report.attention == "xla":
        found.append(
            "  --config.model.attention=fused   a kernel that keeps no scores (or splash, with "
            "--config.model.attention_probs_dropout_prob=0)"
        )
    if report.layout == "dp" and report.chips > 1:
        found.append("  --config.mesh.layout=fsdp   parameters and optimizer dealt over chips")
    if not step_fits and report.remat != "full":
        found.append("  --config.model.remat=full   a third more arithmetic, few intermediates")
    if report.rows_per_chip >= 2:
        found.append(f"  --rows_per_chip {int(report.rows_per_chip) // 2}   a smaller batch")
    return found
