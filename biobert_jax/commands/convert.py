"""Converts a checkpoint between our format (Orbax), a Hugging Face folder, and TF1.

    biobert convert --from downloads/biobert-v1.2 --to checkpoints/biobert --format orbax
    biobert convert --from runs/ncbi --to ncbi_hf --format hf

    biobert convert --from biobert_v1.1/model.ckpt-1000000 --to biobert_hf --format hf

A workdir stands for its best checkpoint where its run chose one, or its newest. Parameters that one
side has and the other has no place for are named. A TF1 checkpoint is given by its prefix or its
folder, with bert_config.json and vocab.txt beside it; it does not say what its classifier's outputs
mean: --task and --labels do.
"""

import argparse
import sys
from pathlib import Path

from biobert_jax.commands.at_hand import CHECKPOINT, CREATE
from biobert_jax.commands.progress import working
from biobert_jax.commands.run_options import add_alone_argument, check_alone
from biobert_jax.disk import check_space, free_bytes
from biobert_jax.errors import UsageError, UserError
from biobert_jax.files import new_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.set_defaults(paths={"source": CHECKPOINT, "target": CREATE})
    parser.add_argument(
        "--from",
        required=True,
        dest="source",
        metavar="CHECKPOINT",
        help="a workdir, one of its checkpoints, a Hugging Face folder, or a TF1 checkpoint",
    )
    parser.add_argument("--to", required=True, dest="target", metavar="DIR", help="a new folder")
    parser.add_argument(
        "--format",
        required=True,
        choices=("orbax", "hf", "tf1"),
        help="of the new folder: orbax is ours, hf what transformers reads, tf1 google's code",
    )
    parser.add_argument(
        "--task", choices=("ner", "classification"), help="of a TF1 checkpoint's classifier"
    )
    parser.add_argument(
        "--labels", metavar="A,B,…", help="what its outputs stand for, in their order"
    )
    add_alone_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Converts; the target appears when it is whole."""
    target = Path(args.target)
    if target.exists():
        raise UserError(f"--to {target} exists: choose another folder, or remove it")
    if bool(args.task) != bool(args.labels):
        raise UsageError("give --task and --labels together")
    check_alone(args)
    from biobert_jax.checkpoints import huggingface, load, manifest, orbax, tf1
    from biobert_jax.checkpoints.table import HEADS
    from biobert_jax.checkpoints.tree import flatten

    with working(f"load {args.source}"):
        labels = args.labels.split(",") if args.labels else ()
        checkpoint = load.load_checkpoint(args.source, task=args.task or "", labels=labels)
    if args.task and checkpoint.format != "tf1":
        raise UserError(f"--task {args.task}: {args.source} says itself what it is: leave it out")
    if checkpoint.kind == "ner":
        load.check_labels_of(checkpoint)
    arrays = flatten(checkpoint.params)
    needed = sum(array.nbytes for array in arrays.values())
    check_space(needed, free_bytes(target), f"--to {target}")
    try:
        with working(f"write {target}"), new_folder(target) as folder:
            if args.format == "hf":
                huggingface.write(
                    folder,
                    checkpoint.model,
                    checkpoint.params,
                    checkpoint.tokenizer,
                    checkpoint.labels,
                    checkpoint.max_seq_length,
                    kind=checkpoint.kind,
                    options=checkpoint.options,
                )
            elif args.format == "tf1":
                tf1.write(folder, checkpoint.model, checkpoint.params, checkpoint.tokenizer)
            else:
                metadata = manifest.Metadata(
                    checkpoint.kind,
                    checkpoint.step,
                    checkpoint.model,
                    checkpoint.vocab.name,
                    checkpoint.labels,
                    checkpoint.max_seq_length,
                    options=checkpoint.options,
                )
                orbax.write_checkpoint(folder, metadata, checkpoint.tokenizer, checkpoint.params)
    except OSError as error:
        raise UserError(f"--to {target}: cannot be written ({error.strerror or error})") from error
    except UserError as error:  # the folder had another name while it was written
        raise UserError(str(error).replace(str(folder), str(target))) from error
    heads = [name for name in HEADS if name in checkpoint.params]
    print(
        f"{target}: {sum(array.size for array in arrays.values()):,} parameters, encoder"
        + "".join(f" + {head}" for head in heads)
    )
    missing = [name for name in ("pooler", "mlm", "nsp") if name not in checkpoint.params]
    if missing and checkpoint.kind in (manifest.PRETRAINING, manifest.ENCODER):
        print(f"{args.source} has no {', '.join(missing)}: initialised anew where they are needed")
    for name in checkpoint.unexpected:
        print(f"left out: {name}", file=sys.stderr)
    return 0
