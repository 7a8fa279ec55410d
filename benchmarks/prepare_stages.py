"""Preparation on one core: from raw files to rows, MB/s and the share of each stage.

    python benchmarks/prepare_stages.py --vocab VOCAB --format pmc --input 'pmc/*.tar.gz' \
        [--objective mlm_nsp] [--repeat 5]

The stages of `biobert prepare` are run one after the other over the same files, in one process,
timed by CPU seconds; the rate is of decompressed input. --repeat goes through the files so many
times (small samples), each time with a tokenizer that remembers nothing.
"""

import argparse
import dataclasses
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from biobert_jax.corpus.dataset.records import encode_rows
from biobert_jax.corpus.dataset.tfrecord import write_tfrecords
from biobert_jax.corpus.documents import ReadCounts
from biobert_jax.corpus.inputs import expand_inputs
from biobert_jax.corpus.pipeline.arguments import PrepareArguments
from biobert_jax.corpus.pipeline.encode import document_encoder
from biobert_jax.corpus.pipeline.pack import RowMaker
from biobert_jax.corpus.pipeline.spill import sorted_chunks
from biobert_jax.corpus.readers import open_documents
from biobert_jax.corpus.rows.pairs import SentenceTokens
from biobert_jax.corpus.text.splitters import load_splitter
from biobert_jax.corpus.text.tokenization import load_tokenizer


def main() -> None:
    """Prints a line a stage."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--format", required=True)
    parser.add_argument("--objective", default="mlm")
    parser.add_argument("--repeat", type=int, default=1)
    args = parser.parse_args()
    arguments = PrepareArguments(
        expand_inputs([args.input]), args.format, args.vocab, objective=args.objective
    )
    seconds: dict[str, float] = defaultdict(float)
    counts = ReadCounts()
    tokenizer = load_tokenizer(args.vocab)
    encode = document_encoder(arguments, tokenizer)
    split = load_splitter(arguments.sentence_splitter)
    maker = RowMaker(arguments, tokenizer, (0, 0))
    format = arguments.format_of_records(tokenizer.vocab_size)
    characters = num_documents = 0

    def timed(stage, function):
        began = time.process_time()
        result = function()
        seconds[stage] += time.process_time() - began
        return result

    for _ in range(args.repeat):
        # Without splitting, to tell the two apart.
        plain = document_encoder(
            dataclasses.replace(arguments, objective="mlm"), load_tokenizer(args.vocab)
        )
        for path in arguments.inputs:
            documents = timed(
                "read", lambda path=path: list(open_documents(path, args.format, counts=counts))
            )
            num_documents += len(documents)
            characters += sum(len(p) for d in documents for p in d.passages)
            if arguments.needs_sentences:
                timed("sentences", lambda d=documents: [split(p) for x in d for p in x.passages])
            timed("tokenize", lambda d=documents, p=plain: [p(x, 0) for x in d])
            encoded = [e for d in documents if not isinstance(e := encode(d, 0), str)]
            texts = [
                SentenceTokens(e.ids, [0, *np.cumsum(e.sentence_lengths).tolist()]) for e in encoded
            ]
            chunks = timed(
                "pack", lambda t=texts: list(sorted_chunks(maker(t), format.row_dtype, 0, (0,)))
            )
            with tempfile.TemporaryDirectory() as folder:
                for chunk in chunks:
                    timed(
                        "write",
                        lambda c=chunk, f=folder: write_tfrecords(
                            Path(f) / "x", encode_rows(c.rows, format)
                        ),
                    )
    total = sum(seconds.values())
    print(
        f"{args.format}, {args.objective}: {counts.bytes / 1e6:.1f} MB decompressed, "
        f"{characters / 1e6:.1f} M characters of text, {num_documents:,} documents, "
        f"{maker.tally()['rows']:,} rows of {arguments.max_seq_length}: "
        f"{counts.bytes / 1e6 / total:.2f} MB/s from raw to rows on one core "
        f"({characters / 1e6 / total:.2f} M characters/s)"
    )
    for stage, spent in seconds.items():
        rate = counts.bytes / 1e6 / spent
        print(f"  {stage:10} {spent:7.2f} s  {spent / total:5.1%}  {rate:8.1f} MB/s")


if __name__ == "__main__":
    main()
