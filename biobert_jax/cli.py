"""The `biobert` command: one verb a module of `biobert_jax.commands`, one line an error."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from biobert_jax import __version__
from biobert_jax.commands import compile as compile_
from biobert_jax.commands import (
    convert,
    evaluate,
    export,
    finetune,
    predict,
    prepare,
    pretrain,
    report,
    verify,
    vocab,
)
from biobert_jax.commands.input_options import refuse_stray_words
from biobert_jax.errors import Interrupted, UserError, printable

VERBS = (
    prepare,
    verify,
    export,
    vocab,
    pretrain,
    finetune,
    evaluate,
    predict,
    convert,
    compile_,
    report,
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs; imports neither JAX nor TensorFlow."""
    parser = argparse.ArgumentParser(
        prog="biobert", description="Pre-train and fine-tune BERT on biomedical text, in JAX."
    )
    parser.add_argument("--version", action="version", version=f"biobert {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for module in VERBS:
        name = module.__name__.rsplit(".", 1)[-1]
        verb = verbs.add_parser(
            name,
            help=module.__doc__.split("\n")[0],
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            # A prefix of an option must never be taken for another option added later.
            allow_abbrev=False,
        )
        module.add_arguments(verb)
        verb.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a verb and returns the exit code: 0 all well, 1 an error, 2 wrong usage, 128+n signal n.

    What a user can mend is one line on standard error, without a traceback.
    """
    # TensorFlow and XLA greet with pages of notes; a user who wants them sets the variable.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # With oneDNN it greets whatever the level; nothing of ours computes with TensorFlow.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    words, passed_on = _split_at_dashes(sys.argv[1:] if argv is None else argv)
    args, rest = build_parser().parse_known_args(words)
    args.passed_on = passed_on
    try:
        if passed_on and getattr(args, "runner", "") != "beam":
            raise UserError(f"-- {passed_on[0]}: only `prepare --runner beam` passes options on")
        remote = [word for word in words if "://" in word]
        if remote and getattr(args, "runner", "") != "beam":
            raise UserError(f"{remote[0]}: only local paths in this version: copy the files here")
        overrides = [word.removeprefix("--config.") for word in rest if _is_override(word)]
        unknown = [word for word in rest if not _is_override(word)]
        bare = [word for word in overrides if "=" not in word]
        if bare and hasattr(args, "config"):
            raise UserError(f"--config.{bare[0]} has no value: write --config.{bare[0]}=VALUE")
        refuse_stray_words(args, unknown)
        if unknown or (overrides and not hasattr(args, "config")):
            raise UserError(
                f"{args.verb} has no option {(unknown or rest)[0]}: see biobert {args.verb} --help"
            )
        if hasattr(args, "config"):
            args.overrides = overrides
        return args.run(args) or 0
    except Interrupted as error:
        return _fail(str(error), error.exit_code)
    except UserError as error:
        return _fail(f"error: {error}", 1)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        # The reader of standard output has gone (`| head`): nothing is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _fail(f"error: no space left on the disk ({error.filename or 'writing'})", 1)
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.EISDIR, errno.ENOTDIR):
            return _fail(f"error: {error.filename}: {error.strerror}", 1)
        raise


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
