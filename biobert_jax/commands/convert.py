"""Converts a checkpoint between our format (Orbax) and a Hugging Face folder, both ways.

    biobert convert --from downloads/biobert-v1.2 --to checkpoints/biobert --format orbax
    biobert convert --from runs/ncbi --to ncbi_hf --format hf

A workdir stands for its newest checkpoint. Parameters that one side has and the other has no place
for are named. TF1 checkpoints are not read in this version.
"""

import argparse
import sys
from pathlib import Path

from biobert_jax.commands.progress import working
from biobert_jax.disk import check_space, free_bytes
from biobert_jax.errors import UserError
from biobert_jax.files import new_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument(
        "--from",
        required=True,
        dest="source",
        metavar="CHECKPOINT",
        help="a workdir, one of its checkpoints, or a Hugging Face folder",
    )
    parser.add_argument("--to", required=True, dest="target", metavar="DIR", help="a new folder")
    parser.add_argument(
        "--format",
        required=True,
        choices=("orbax", "hf"),
        help="of the new folder: orbax is ours, hf what transformers reads",
    )


def run(args: argparse.Namespace) -> int:
    """Converts; the target appears when it is whole."""
    target = Path(args.target)
    if target.exists():
        raise UserError(f"--to {target} exists: choose another folder, or remove it")
    from biobert_jax.checkpoints import huggingface, load, orbax
    from biobert_jax.checkpoints.tree import flatten

    with working(f"load {args.source}"):
        checkpoint = load.load_checkpoint(args.source)
    if checkpoint.kind == "ner":
        load.check_tagger(checkpoint)
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
                )
            else:
                metadata = orbax.Metadata(
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
    heads = [name for name in ("pooler", "mlm", "nsp", "classifier") if name in checkpoint.params]
    print(
        f"{target}: {sum(array.size for array in arrays.values()):,} parameters, encoder"
        + "".join(f" + {head}" for head in heads)
    )
    missing = [name for name in ("pooler", "mlm", "nsp") if name not in checkpoint.params]
    if missing and checkpoint.kind != "ner":
        print(f"{args.source} has no {', '.join(missing)}: initialised anew where they are needed")
    for name in checkpoint.unexpected:
        print(f"left out: {name}", file=sys.stderr)
    return 0
