"""Lists every key of an experiment with its type, value, default and meaning.

    biobert config                                      the experiments that come with biobert
    biobert config pretrain_base
    biobert config ner:ncbi_disease --config.train.num_epochs=5
    biobert config experiments/mine.py --json

A star marks a value that is not the default, a dash what is empty. Each key is set with
--config.KEY=VALUE, here as in the verbs that run the experiment, where a list is written a,b,c, or
by gin as CLASS.KEY; the class stands in brackets behind each group.
"""

import argparse

from biobert_jax.commands.config_file import (
    HELP,
    METAVAR,
    add_gin_arguments,
    experiment_class,
    experiments,
    load_config,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("config", nargs="?", metavar=METAVAR, help=HELP)
    add_gin_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as the config.json of a workdir")


def run(args: argparse.Namespace) -> int:
    """Prints the list."""
    import ast

    from biobert_jax.config_listing import table
    from biobert_jax.config_parsing import to_json

    if args.config is None:
        shipped = experiments()
        width = max(map(len, shipped), default=0)
        for name, path in shipped.items():
            doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            print(f"{name.ljust(width)}  {doc.splitlines()[0] if doc else ''}".rstrip())
        return 0
    config = load_config(args, experiment_class(args.config))
    print(to_json(config) if args.json else table(config), end="" if args.json else "\n")
    return 0
