"""Shares of a file add up to the file, for every reader."""

import io
import json
import tarfile
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.corpus.documents import BLOCK_RECORDS, ReadCounts, ReadOptions, Share
from biobert_jax.corpus.readers import GLOBAL_IDS, READERS, open_documents

# Records of a file: text, none, or one that the options leave out.
RECORDS = st.lists(st.sampled_from(["text", "text", "empty", "dropped"]), max_size=400)


def pubmed(kinds):
    for number, kind in enumerate(kinds):
        title = "" if kind == "empty" else f"Title {number}."
        language = "ger" if kind == "dropped" else "eng"
        yield (
            f"<PubmedArticle><MedlineCitation><PMID>{number}</PMID><Article><ArticleTitle>{title}"
            f"</ArticleTitle><Language>{language}</Language></Article></MedlineCitation>"
            f"</PubmedArticle><DeleteCitation><PMID>{number}0</PMID></DeleteCitation>"
        )


def pmc(kinds):
    for number, kind in enumerate(kinds):
        title = "" if kind == "empty" else f"Title {number}."
        language = "de" if kind == "dropped" else "en"
        yield (
            f'<article xml:lang="{language}"><front><article-meta><title-group><article-title>'
            f"{title}</article-title></title-group></article-meta></front></article>"
        )


def bioc(kinds):
    for number, kind in enumerate(kinds):
        text = "" if kind != "text" else f"Text {number}."
        yield f"<document><id>{number}</id><passage><text>{text}</text></passage></document>"


def write(path, format, kinds):
    if format == "text":
        path.write_text("\n\n".join(f"{kind}\nmore" for kind in kinds))
    elif format == "jsonl":
        lines = ({"text": "" if kind == "empty" else kind} for kind in kinds)
        path.write_text("\n".join("" if kind == "dropped" else json.dumps(line)
                                  for kind, line in zip(kinds, lines, strict=True)))  # fmt: skip
    elif format == "pubmed":
        path.write_text(f"<PubmedArticleSet>{''.join(pubmed(kinds))}</PubmedArticleSet>")
    elif format == "bioc":
        path.write_text(f"<collection>{''.join(bioc(kinds))}</collection>")
    elif format == "pmc":
        path.write_text(f"<pmc-articleset>{''.join(pmc(kinds))}</pmc-articleset>")
    else:
        with tarfile.open(path, "w") as archive:
            for number, data in enumerate(pmc(kinds)):
                info = tarfile.TarInfo(f"{number}.xml")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data.encode()))
    return path


@pytest.mark.parametrize("format", [*READERS, "archive"])
@settings(max_examples=25)
@given(kinds=RECORDS, num_parts=st.integers(1, 5))
def test_shares_add_up(tmp_path_factory, format, kinds, num_parts):
    path = write(tmp_path_factory.mktemp("shares") / "file", format, kinds)
    format = "pmc" if format == "archive" else format
    options = ReadOptions(languages=("eng",))

    def read(share):
        counts = ReadCounts()
        return list(
            open_documents(path, format, options=options, share=share, counts=counts)
        ), counts

    whole, counts = read(Share())
    parts = [read(Share(part, num_parts)) for part in range(num_parts)]
    assert sorted((d for documents, _ in parts for d in documents), key=whole.index) == whole
    for name in ("documents", "empty"):
        assert sum(getattr(c, name) for _, c in parts) == getattr(counts, name)
    assert sum((c.dropped for _, c in parts), Counter()) == counts.dropped
    assert [pmid for _, c in parts for pmid in c.deleted] == counts.deleted
    assert all(c.bytes == counts.bytes for _, c in parts)
    if format == "pubmed":
        assert len(counts.deleted) == len(kinds)
        for part, (documents, _) in enumerate(parts):
            assert all(int(d.id) // BLOCK_RECORDS % num_parts == part for d in documents)


def test_global_ids_are_of_known_formats():
    assert GLOBAL_IDS < READERS.keys()
