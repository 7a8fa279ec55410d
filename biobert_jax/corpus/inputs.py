"""What --input means: names, patterns, folders, lists of names and standard input, as files."""

import codecs
import contextlib
import errno
import glob
import hashlib
import itertools
import os
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from biobert_jax import storage
from biobert_jax.corpus.readers.compressed import open_bytes
from biobert_jax.corpus.readers.sniff import Expected
from biobert_jax.errors import UserError, nearest
from biobert_jax.files import is_stream, try_lock

STDIN = "/dev/stdin"

_COPY_BYTES = 1 << 20
_MOST_NAME_BYTES = 1 << 16
_COPY = re.compile(r"[^\s'\"]*/\.[^/]+\.stdin/[0-9a-f]{16}/")
# Parts of a list at commas that are tried as one name, and names of a folder that are compared
# with one that is not there.
_MOST_JOINED = 8
_MOST_COMPARED = 10_000


def expand_inputs(
    entries: Sequence[str], suffixes: Sequence[str] = ("",), *, output: str | os.PathLike = ""
) -> tuple[str, ...]:
    """The files that the values of --input stand for, in their order, each once.

    An entry is one of these, or several, separated by commas:
      - a file; one that is there can be named whatever its name holds, commas and brackets too;
      - a folder: all files in it and below whose names end as the format's do, but hidden ones;
      - a pattern, with `**` for any folders: the files that match, sorted;
      - `@list.txt`: a file with the path of a file a line, from the current folder; `@-`;
      - `-`: standard input.

    Paths are absolute, without links on the way to the file, so that a file has one name however
    it was spelt. Those of an object store stay as they are.

    Args:
      suffixes: endings that count in a folder, each also with .gz behind it.
      output: a folder that is not read with the one that it is in.

    Raises:
      UserError: an entry that stands for no file, or a folder that cannot be listed.
    """
    folders: dict[str, str] = {}  # as spelt, to what they are

    def resolved(path: str) -> str:
        if "://" in path:
            return path
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder or ".")
        return os.path.join(folders[folder], name)

    found = itertools.chain.from_iterable(
        _entry_files(entry, suffixes, output) for entry in entries
    )
    files = tuple(dict.fromkeys(map(resolved, found)))
    if not files:
        raise UserError("--input is empty: give a file, a folder or a pattern")
    return files


@contextlib.contextmanager
def standard_input_as_file(paths: Sequence[str], output: str | os.PathLike) -> Iterator[list[str]]:
    """Yields the paths, with a file for each that can be read only once: pipes, standard input.

    The file lies beside `output`, under a name that its content decides, with the same time of
    change always: a run that was stopped goes on when the same is piped into it again. It is
    removed at the end.

    Raises:
      UserError: `output` is in an object store, or another process is reading its standard input
        for it.
      OSError: the file cannot be written.
    """
    if not any(map(is_stream, paths)):
        yield list(paths)
        return
    if "://" in os.fspath(output):
        raise UserError("--input: standard input or a pipe: write it to a file first")
    output = Path(os.path.realpath(output))
    folder = output.with_name(f".{output.name}.stdin")
    with contextlib.ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        if not try_lock(stack.enter_context(open(folder / "lock", "w"))):
            raise UserError(f"{folder}: another command is reading its standard input for {output}")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            yield [str(_copied(path, folder)) if is_stream(path) else path for path in paths]
        except UserError as error:
            if (said := without_copies(str(error))) == str(error):
                raise
            raise UserError(said) from error


def without_copies(message: str) -> str:
    """A message, with the copies of `standard_input_as_file` called by their names alone."""
    return _COPY.sub("", message)


def _split(entry: str) -> Iterator[str]:
    """Splits at commas, but for those of a name that is there."""
    parts = entry.split(",")
    first = 0
    while first < len(parts):
        last = first + 1
        for end in range(min(len(parts), first + _MOST_JOINED), first, -1):
            name = ",".join(parts[first:end])
            if any(os.path.lexists(n) for n in (name, name.strip(), name.strip().lstrip("@"))):
                last = end
                break
        name = ",".join(parts[first:last])
        name = name if os.path.lexists(name) else name.strip()
        if name:
            yield name
        first = last


def _entry_files(entry: str, suffixes: Sequence[str], output: str | os.PathLike) -> Iterator[str]:
    for part in _split(entry):
        try:
            yield from _files(part, suffixes, output)
        except UserError:
            if _reads_as_text(entry):  # of which the part before a comma is a part
                raise UserError(f"--input: {_absence(entry)}") from None
            raise


def _files(part: str, suffixes: Sequence[str], output: str | os.PathLike) -> Iterator[str]:
    if part.startswith(f"@{storage.SCHEME}"):
        yield from _listed(part[1:])
    elif "://" in part:
        yield from _remote(part, suffixes, output)
    elif part == "-":
        yield STDIN
    elif (mode := _mode(part)) is not None:
        yield from _below(part, suffixes, output) if stat.S_ISDIR(mode) else [part]
    elif part.startswith("@"):
        yield from _listed(part[1:])
    elif glob.has_magic(part):
        yield from _matches(part)
    else:
        raise UserError(f"--input: {_absence(part)}")


def _mode(path: str) -> int | None:
    """What kind of file it is; None where there is none. A link to nothing is an error."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        if os.path.islink(path):
            raise UserError(f"--input: {path} is a link to what is not there") from None
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # a name too long is none
            return None
        raise UserError(f"--input: {path}: {error.strerror}") from error


def _below(folder: str, suffixes: Sequence[str], output: str | os.PathLike) -> list[str]:
    def refuse(error: OSError) -> None:
        raise UserError(f"--input: {error.filename}: {error.strerror}") from error

    endings = _endings(suffixes)
    own = os.path.realpath(output) if output and "://" not in os.fspath(output) else ""
    found = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(place, name)) != own
        ]
        paths = (os.path.join(place, n) for n in names if not n.startswith("."))
        found += [p for p in paths if p.lower().endswith(endings) and os.path.isfile(p)]
    if not found:
        wanted = ", ".join(suffixes)
        raise UserError(
            f"--input: the folder {folder} has no file that ends in {wanted} (or .gz behind it): "
            f"give a pattern, such as '{os.path.join(folder, '*')}'"
        )
    return sorted(found)


def _endings(suffixes: Sequence[str]) -> tuple[str, ...]:
    return tuple(s.lower() + packed for s in suffixes for packed in ("", ".gz"))


def _listed(path: str) -> Iterator[str]:
    expected = Expected("text", option="", formats=())
    with open_bytes(STDIN if path == "-" else path, expected=expected) as stream:
        # Names need not be UTF-8, as lines of text must.
        for number, line in enumerate(iter(lambda: stream.readline(_MOST_NAME_BYTES), b""), 1):
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            name = os.fsdecode(line.rstrip(b"\r\n"))
            if not name.strip():
                continue
            if "://" not in name and not os.path.isfile(name):
                name = name.strip()
                if not os.path.isfile(name):
                    is_folder = os.path.isdir(name)
                    what = f"{name} is a folder" if is_folder else _absence(name)
                    raise UserError(f"{path}:{number}: {what}")
            yield name


def _matches(pattern: str) -> list[str]:
    # The folders that are there may have brackets in their names, too.
    folder = os.path.dirname(pattern)
    while folder and not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    rest = pattern[len(folder) :].lstrip("/") if folder else pattern
    literal = os.path.join(glob.escape(folder), rest) if folder else rest
    found = sorted(p for p in glob.iglob(literal, recursive=True) if os.path.isfile(p))
    if not found:
        raise UserError(f"--input: no file matches {pattern}")
    return found


def _remote(part: str, suffixes: Sequence[str], output: str | os.PathLike) -> list[str]:
    storage.check_scheme(part, "--input")
    if glob.has_magic(part):
        found = [one.path for one in storage.glob(part)]
        if not found:
            raise UserError(f"--input: no file matches {part}")
        return found
    if not part.endswith("/") and storage.exists(part):
        return [part]
    endings = _endings(suffixes)
    folder, own = part.rstrip("/") + "/", os.fspath(output).rstrip("/") + "/"
    found = [
        one.path
        for one in storage.list_folder(part)
        if one.name.lower().endswith(endings)
        and not one.path.startswith(own)
        and "/." not in f"/{one.path.removeprefix(folder)}"
    ]
    if not found:
        wanted = ", ".join(suffixes)
        raise UserError(
            f"--input: {part}: no such file, and no folder with one that ends in {wanted} (or .gz "
            f"behind it): give a pattern, such as '{folder}*'"
        )
    return found


def _absence(name: str) -> str:
    if _reads_as_text(name):
        return f"no such file: {name} (a text itself goes in by a pipe: echo '...' | ... --input -)"
    folder, last = os.path.split(name)
    names: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
        names = [entry.name for entry in itertools.islice(entries, _MOST_COMPARED)]
    near = nearest(last, names)
    hint = f" (did you mean {os.path.join(folder, near)}?)" if near else ""
    return f"no such file: {name}{hint}"


def _reads_as_text(name: str) -> bool:
    return len(name.split()) > 3 and not set("/*@") & set(name)


def _copied(path: str, folder: Path) -> Path:
    digest = hashlib.sha256()
    temporary = folder / "incoming"
    with open(os.dup(0) if path == STDIN else path, "rb") as source, open(temporary, "wb") as copy:
        while data := source.read(_COPY_BYTES):
            digest.update(data)
            copy.write(data)
    target = folder / digest.hexdigest()[:16] / os.path.basename(path)
    target.parent.mkdir(exist_ok=True)
    os.replace(temporary, target)
    os.utime(target, (0, 0))
    return target
