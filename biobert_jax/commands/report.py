"""Draws what runs did as one HTML page: curves, speed, scores, checkpoints, config.

biobert report runs/base                                  writes runs/base/report.html
biobert report runs/base runs/large --output both.html    lays two runs over each other

Takes the workdirs of pretrain and finetune, also while they are running. The page needs nothing
but itself: it can be sent or kept.
"""

import argparse
import os
from pathlib import Path

from biobert_jax import storage
from biobert_jax.commands.output_options import check_output
from biobert_jax.files import write_text_atomically


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.set_defaults(in_buckets=("workdirs", "output"))
    parser.add_argument("workdirs", metavar="WORKDIR", nargs="+")
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="the page (default: report.html, of several runs comparison.html, in the first "
        "WORKDIR)",
    )


def run(args: argparse.Namespace) -> int:
    """Writes the page and prints where it is."""
    from biobert_jax.report.page import render_page
    from biobert_jax.report.runs import read_runs

    runs = read_runs(args.workdirs)
    page = render_page(runs)
    name = "report.html" if len(runs) == 1 else "comparison.html"
    output = args.output or os.path.join(args.workdirs[0], name)
    if storage.is_remote(output):
        storage.write_bytes(output, page.encode("utf-8"))
    else:
        check_output("--output", output, (f for run in args.workdirs for f in _read_files(run)))
        write_text_atomically(output, page)
    print(f"{output}: open it in a browser")
    return 0


def _read_files(workdir: str) -> list[Path]:
    """What a run itself has left in its folder."""
    if storage.is_remote(workdir):
        return []
    return [path for path in Path(workdir).glob("*") if path.suffix != ".html"]
