"""Checks this machine, or every host of a pod, before a run: one line for each thing looked at.

    biobert doctor
    biobert doctor --topology v5e:4x4 --config pretrain_pod --workdir gs://my-bucket/runs/pod

On a TPU slice, under Slurm or Open MPI it is started on every host as a run would be, and process 0
prints the lines of all: devices against the topology, kernels against the reference, memory and
disk against what --config needs at least, versions and clocks against process 0's, and whether
--workdir and --data can be written, read and listed. Each line says ok or WRONG, and the exit code
is 1 where one is WRONG.
"""

import argparse
import json
import os

from biobert_jax.commands.config_file import (
    HELP,
    METAVAR,
    add_gin_arguments,
    experiment_class,
    load_config,
)
from biobert_jax.commands.output_options import check_output
from biobert_jax.commands.run_options import add_process_arguments, find_processes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("--config", metavar=METAVAR, help=HELP)
    parser.add_argument("--workdir", metavar="DIR", help="where a run would write")
    parser.add_argument("--data", metavar="DIR", help="what it would read (config.data.dir)")
    parser.add_argument(
        "--topology", metavar="v5e:16x16", help="the TPUs there should be, or a number of devices"
    )
    parser.add_argument("--slices", type=int, default=1, help="so many of that topology (1)")
    parser.add_argument("--json", metavar="FILE", help="write the findings there too")
    add_gin_arguments(parser)
    add_process_arguments(parser)
    parser.set_defaults(in_buckets=("workdir", "data"))


def run(args: argparse.Namespace) -> int:
    """Examines, and prints the lines."""
    # A run bears with a bucket that does not answer for longer than who waits for a finding.
    os.environ.setdefault("BIOBERT_STORAGE_PATIENCE", "30")
    config = load_config(args, experiment_class(args.config)) if args.config else None
    if args.json:
        check_output("--json", args.json, [])
    if args.topology is not None:
        from biobert_jax.doctor.devices import expected

        expected(args.topology, args.slices)  # refused before anybody is waited for
    from biobert_jax.doctor.examine import Questions, examine

    data = [args.data] if args.data else _folders_of(config)
    questions = Questions(config, args.workdir or "", tuple(data), args.topology, args.slices)
    meeting = find_processes(args)
    hosts = examine(meeting, questions, timeout=args.join_timeout)
    if meeting is None or meeting.process_id == 0:
        _show(hosts)
        if args.json:
            _write(args.json, hosts)
    return 0 if all(each.ok for host in hosts for each in host.findings) else 1


def _folders_of(config) -> list[str]:
    """The folders that a run of this config reads."""
    if config is None:
        return []
    phases = getattr(config.data, "phases", ())
    return [folder for folder in (config.data.dir, *(phase.dir for phase in phases)) if folder]


def _show(hosts) -> None:
    width = max(len(host.name) for host in hosts)
    wide = max(len(each.check) for host in hosts for each in host.findings)
    for host in hosts:
        for check, ok, text in host.findings:
            verdict = "ok   " if ok else "WRONG"
            print(f"{host.process} {host.name:<{width}}  {check:<{wide}}  {verdict}  {text}")


def _write(path: str, hosts) -> None:
    from biobert_jax.files import write_text_atomically

    content = [
        {"process": host.process, "host": host.name, **each._asdict()}
        for host in hosts
        for each in host.findings
    ]
    write_text_atomically(path, json.dumps(content, indent=2) + "\n")
