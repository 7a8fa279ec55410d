"""The command line's grammar: argparse, with every error one line that has the nearest name."""

import argparse
import re
from collections.abc import Container, Iterable, Sequence
from typing import NoReturn

from biobert_jax.errors import UsageError, nearest

_MISSING = "the following arguments are required: "
# What the metavar of an option that takes paths has in it.
_PATH = re.compile("FILE|DIR|GLOB|CHECKPOINT|VOCAB")


class Parser(argparse.ArgumentParser):
    """Raises a UsageError where argparse prints its usage and exits.

    Attributes:
      verbs: the parser of each verb, where there are any.
    """

    verbs: dict[str, "Parser"] = {}

    def error(self, message: str) -> NoReturn:
        """Raises `message`; of a single thing that is missing, with what it is."""
        if message.startswith(_MISSING):
            names = message.removeprefix(_MISSING).split(", ")
            needed = [self._describe(name, with_help=len(names) == 1) for name in names]
            raise UsageError(f"{self.prog} needs {', '.join(needed)}: see {self.prog} --help")
        message = message.removeprefix("argument ")
        message = message.replace("expected one argument", "it needs a value after it")
        raise UsageError(f"{self.prog}: {message}")

    def _check_value(self, action: argparse.Action, value: str) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            raise argparse.ArgumentError(
                action, f"no {value!r}: {did_you_mean(str(value), known)}known: {', '.join(known)}"
            )

    def _describe(self, name: str, *, with_help: bool) -> str:
        for action in self._actions:
            if name in (*action.option_strings, action.metavar):
                option = " ".join(filter(None, [*action.option_strings[:1], action.metavar]))
                return f"{option} ({action.help})" if action.help and with_help else option
        return name

    def options(self) -> list[str]:
        """All option strings, such as "--input"."""
        return [option for action in self._actions for option in action.option_strings]

    def refuse_unknown_options(self, words: Iterable[str]) -> None:
        """Before what is missing is missed: `--inptu x` is not for want of --input.

        Raises:
          UsageError: a word that begins with two dashes and is no option; the nearest is named.
        """
        known = self.options()
        takes_keys = any(action.dest == "config" for action in self._actions)
        if takes_keys:
            known.append("--config.KEY=VALUE")
        for word in words:
            name = word.partition("=")[0]
            if not name.startswith("--") or name == "--" or name in known:
                continue
            if name.startswith("--config.") and takes_keys:
                continue
            near = did_you_mean(name, known) or f"see {self.prog} --help: "
            raise UsageError(f"{self.prog} has no option {name}: {near.removesuffix(': ')}")

    def check_paths(self, args: argparse.Namespace, in_buckets: Container[str]) -> None:
        """Raises a UsageError for an empty path, and for an address where none is understood.

        Args:
          in_buckets: the options, by their `dest`, whose paths may begin with gs://.
        """
        for action in self._actions:
            if not _PATH.search(str(action.metavar)):
                continue
            values = getattr(args, action.dest, None)
            name = next(iter(action.option_strings), action.metavar)
            for value in values if isinstance(values, list | tuple) else [values]:
                if value is not None and not str(value).strip():
                    raise UsageError(f"{self.prog}: {name} is empty: give a path")
                for part in str(value).split(","):
                    if "://" not in part:
                        continue
                    if action.dest not in in_buckets:
                        raise UsageError(f"{name} {value}: only local paths: copy the files here")
                    if not part.strip().removeprefix("@").startswith("gs://"):
                        raise UsageError(
                            f"{name} {value}: only local paths and gs:// can be used: copy the "
                            "files to one"
                        )


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """ "did you mean X? " with the nearest of the known words; "" where none is near."""
    near = nearest(word, known)
    return f"did you mean {near}? " if near else ""
