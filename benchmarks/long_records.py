"""Peak memory of `biobert prepare` on lines, documents and archive members without an end.

    python benchmarks/long_records.py --vocab VOCAB --scratch EMPTY_FOLDER

A line of 1 GB (1.5 MB of gzip), as JSON lines and as text, must be left out and the record behind
it be read, in memory that does not depend on the line; one of 66 MB is read. Sets of 2,000 and of
16,000 articles, each in one member of an archive, must take the same memory.
"""

import argparse
import gzip
import io
import subprocess
import sys
import tarfile
from pathlib import Path

PIECE = b"word " * 200_000
ARTICLE = (
    '<article article-type="research-article"><front><article-meta>'
    '<article-id pub-id-type="pmcid">PMC{0}</article-id><title-group><article-title>Aspirin in '
    "disease {0}</article-title></title-group></article-meta></front><body><p>{1}</p></body>"
    "</article>"
)


def main() -> None:
    """Makes the files, one after the other, and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--scratch", required=True, type=Path)
    args = parser.parse_args()
    for megabytes in (1000, 66):
        for format, before, after in (
            ("jsonl", b'{"text": "', b'"}\n{"text": "Aspirin helps."}\n'),
            ("text", b"", b"\n\nAspirin helps.\n"),
        ):
            path = args.scratch / f"line-{megabytes}.{format}.gz"
            with gzip.open(path, "wb", 6) as stream:
                stream.write(before)
                for _ in range(megabytes):
                    stream.write(PIECE)
                stream.write(after)
            measure(path, format, args)
    for count in (2000, 16_000):
        articles = (ARTICLE.format(n, "Patients were treated. " * 100) for n in range(count))
        data = f"<pmc-articleset>{''.join(articles)}</pmc-articleset>".encode()
        path = args.scratch / f"set-{count}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            member = tarfile.TarInfo("set.xml")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        measure(path, "pmc", args)


def measure(path: Path, format: str, args: argparse.Namespace) -> None:
    """Prepares one file in a process of its own and prints what that took and said."""
    command = [sys.executable, "-c", _CHILD, "prepare", "--input", str(path), "--format", format]
    command += ["--vocab", args.vocab, "--output", f"{path}.prepared", "--workers", "1"]
    child = subprocess.run([*command, "--held_out", "0"], capture_output=True, text=True)
    lines = child.stdout.splitlines()
    print(f"{path.name}: {lines[-1] if lines else child.stderr.splitlines()[-1]}; code ", end="")
    print(child.returncode, *(line for line in lines[:-1]), sep="; ", flush=True)


# The child prints its own peak last.
_CHILD = """
import resource, sys
from biobert_jax import cli
code = cli.main(sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
print(f"{peak:,} MB at most")
sys.exit(code)
"""

if __name__ == "__main__":
    main()
