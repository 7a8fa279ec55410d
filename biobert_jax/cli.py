"""The `biobert` command: one verb a module of `biobert_jax.commands`, one line an error."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from biobert_jax import __version__
from biobert_jax.commands import compile as compile_
from biobert_jax.commands import config as config_
from biobert_jax.commands import (
    convert,
    doctor,
    evaluate,
    export,
    finetune,
    predict,
    prepare,
    pretrain,
    report,
    validate,
    verify,
    vocab,
)
from biobert_jax.commands.at_hand import at_hand, naming
from biobert_jax.commands.input_options import refuse_stray_words
from biobert_jax.commands.parser import Parser, did_you_mean
from biobert_jax.environment import keep_compiled_programs, quiet_libraries, set_up_storage
from biobert_jax.errors import (
    EXIT_BROKEN_PIPE,
    Interrupted,
    UsageError,
    UserError,
    one_line,
    printable,
)

VERBS = {
    module.__name__.rsplit(".", 1)[-1]: module
    for module in (
        prepare,
        verify,
        export,
        vocab,
        pretrain,
        validate,
        finetune,
        evaluate,
        predict,
        convert,
        compile_,
        report,
        config_,
        doctor,
    )
}


def build_parser() -> Parser:
    """The parser of all verbs; imports neither JAX nor TensorFlow."""
    parser = Parser(
        prog="biobert", description="Pre-train and fine-tune BERT on biomedical text, in JAX."
    )
    parser.add_argument("--version", action="version", version=f"biobert {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    parser.verbs = verbs.choices
    for name, module in VERBS.items():
        verb = verbs.add_parser(
            name,
            help=module.__doc__.split("\n")[0],
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            # A prefix of an option must never be taken for another option added later.
            allow_abbrev=False,
        )
        module.add_arguments(verb)
        verb.set_defaults(run=module.run, parser=verb)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a verb and returns the exit code; `errors` has the table.

    What a user can mend is one line on standard error, without a traceback.
    """
    quiet_libraries()
    set_up_storage()
    keep_compiled_programs()
    # A character that a terminal cannot show is no reason to stop.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if argv is None else list(argv)
    with naming(words):
        return _run(words)


def _run(words: Sequence[str]) -> int:
    lower = ""
    try:
        try:
            args = parse(words)
            lower = _what_needs_less(args)
            with at_hand(args, getattr(args, "paths", {})):
                code = args.run(args) or 0
        except SystemExit as stop:  # --help and --version
            code = stop.code or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader of standard output has gone (`| head`): nothing is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except Exception as error:
        if os.environ.get("BIOBERT_TRACEBACK", "0") not in ("", "0"):
            traceback.print_exception(error)
        if isinstance(error, Interrupted):
            return _fail(str(error), error.exit_code)
        if isinstance(error, UserError):
            return _fail(f"error: {error}", error.exit_code)
        line = one_line(error, lower=lower)
        if line is None:
            raise
        return _fail(f"error: {line}", 1)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command's arguments, checked as far as they can be without looking at files.

    Beside the options it has `run`; `overrides`, the `a.b=VALUE` of each `--config.a.b=VALUE`; and
    `passed_on`, the words after `--`, which are another program's.

    Raises:
      UsageError: no such verb or option, one without its value, or none of those needed.
      SystemExit: after --help or --version, or without any words, which prints the help.
    """
    parser = build_parser()
    words, passed_on = _split_at_dashes(words)
    if not words:
        parser.print_help()
        raise SystemExit(0)
    if words[0] in VERBS:
        if not {"-h", "--help"} & set(words):
            parser.verbs[words[0]].refuse_unknown_options(words[1:])
    elif words[0] not in parser.options():
        what = "option" if words[0].startswith("-") else "verb"
        known = list(VERBS) if what == "verb" else parser.options()
        raise UsageError(
            f"biobert has no {what} {words[0]}: {did_you_mean(words[0], known)}known: "
            f"{', '.join(known)}"
        )
    args, rest = parser.parse_known_args(words)
    args.passed_on = passed_on
    if passed_on and getattr(args, "runner", "") != "beam":
        raise UsageError(f"-- {passed_on[0]}: only `prepare --runner beam` passes options on")
    args.overrides = [word.removeprefix("--config.") for word in rest if _is_override(word)]
    for override in args.overrides:
        if "=" not in override:
            raise UsageError(f"--config.{override} has no value: write --config.{override}=VALUE")
    stray = [word for word in rest if not _is_override(word)]
    refuse_stray_words(args, stray)
    if stray:
        raise UsageError(f"biobert {args.verb}: {stray[0]} belongs to no option: see its --help")
    args.parser.check_paths(args, {*getattr(args, "in_buckets", ()), *getattr(args, "paths", ())})
    return args


def _what_needs_less(args: argparse.Namespace) -> str:
    """What to try where memory is not enough."""
    if args.verb in ("pretrain", "finetune"):
        remat = ", or set --config.model.remat=full" if args.verb == "pretrain" else ""
        return (
            "lower --config.data.batch_size, or raise --config.train.accumulation_steps, which "
            f"deals a batch into smaller ones{remat}"
        )
    if hasattr(args, "batch_size"):
        return "lower --batch_size"
    return "use fewer --workers" if hasattr(args, "workers") else ""


def _split_at_dashes(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The command's own words, and those after `--`, which are another program's."""
    words = list(words)
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]


def _is_override(word: str) -> bool:
    return word.startswith("--config.")


def _fail(message: str, code: int) -> int:
    print(printable(" ".join(message.split())), file=sys.stderr)
    return code
