"""The corpus report: counts, plots, samples decoded back to text, and a page that is sound."""

import dataclasses
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from biobert_jax.corpus.dataset.decode import decode_rows
from biobert_jax.corpus.dataset.manifest import Manifest
from biobert_jax.corpus.dataset.report import buckets, render_report, summarize
from biobert_jax.corpus.dataset.report_html import render_page
from biobert_jax.corpus.dataset.report_plots import bars, histogram_svg, nice_ticks, quantile, short
from biobert_jax.corpus.dataset.report_samples import Sample, Token, read_samples
from biobert_jax.corpus.dataset.statistics import EDGES, Histogram
from biobert_jax.corpus.dataset.tfrecord import read_tfrecords
from biobert_jax.corpus.pipeline.arguments import PrepareArguments
from biobert_jax.corpus.pipeline.prepare import prepare
from biobert_jax.corpus.text.detokenize import decode_pieces, piece_texts
from biobert_jax.corpus.text.tokenization import load_tokenizer

WORDS = (
    "heart attack treat ##ment of the pati ##ent ##s with as ##pir ##in dose 5 0 . , ( ) - < b >"
)
SENTENCES = (
    "the treatment of patients with aspirin (5.0 dose)",
    "heart attack, the patients",
    "of heart-attack the dose <b> of zzz",
)
KINDS = {
    "packed": {},
    "pairs": {"objective": "mlm_nsp"},
    "bert": {"objective": "mlm_nsp", "record_format": "bert", "masked_lm_prob": 0.5},
}


@pytest.fixture(scope="module")
def vocab(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()]))
    return path


@pytest.fixture(scope="module", params=KINDS)
def data_set(request, tmp_path_factory, vocab) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp(request.param)
    documents = [
        "\n".join(SENTENCES[(number + i) % 3] + " heart" * (number % 5) for i in range(4))
        for number in range(40)
    ]
    (folder / "in.txt").write_text("\n\n".join([*documents, documents[0]]))
    arguments = PrepareArguments(
        inputs=(str(folder / "in.txt"),),
        format="text",
        vocab=str(vocab),
        max_seq_length=64,
        held_out=0.2,
        duplicates="keep",
        **KINDS[request.param],
    )
    return folder / "data set", prepare(arguments, folder / "data set")


# Ids to text.


def test_pieces_are_joined_to_text_that_can_be_read(vocab):
    tokenizer = load_tokenizer(vocab)
    texts = piece_texts(tokenizer)
    for text in ("the treatment of patients (5.0) with heart-attack, dose", "aspirin. the dose"):
        pieces = decode_pieces(tokenizer.encode(text).tolist(), texts)
        assert "".join(pieces) == text
        assert len(pieces) == len(tokenizer.encode(text))
    special = tokenizer.special
    ids = [special.cls, *tokenizer.encode("zzz the"), special.sep]
    assert "".join(decode_pieces(ids, texts)) == "[CLS] [UNK] the [SEP]"
    assert decode_pieces([], texts) == []


def test_sentencepiece_texts(tmp_path):
    import sentencepiece

    (tmp_path / "in.txt").write_text("the treatment of patients with aspirin\n" * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "in.txt"),
        model_prefix=str(tmp_path / "m"),
        vocab_size=40,
        hard_vocab_limit=False,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        pad_piece="[PAD]",
        unk_piece="[UNK]",
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
        minloglevel=2,
    )
    tokenizer = load_tokenizer(tmp_path / "m.model")
    ids = [tokenizer.special.cls, *tokenizer.encode("the patients with aspirin").tolist()]
    shown = "".join(decode_pieces(ids, piece_texts(tokenizer)))
    assert shown == "[CLS] the patients with aspirin"


# Counts.


def test_the_summary(data_set):
    directory, manifest = data_set
    summary = summarize(manifest)
    assert json.loads(json.dumps(summary)) == summary
    assert summary["documents"] == 41
    assert 0 < summary["held_out_documents"] < 41
    assert sum(split["rows"] for split in summary["splits"].values()) == summary["rows"]
    assert summary["splits"]["train"]["bytes"] == sum(
        path.stat().st_size for path in directory.glob("train*")
    )
    assert summary["unknown_tokens"] > 0
    assert summary["pieces_per_word"] == pytest.approx(summary["tokens"] / summary["words"], 1e-5)
    histograms = summary["histograms"]
    assert sum(count for _, _, count in histograms["document_tokens"]) == 41
    assert sum(count for _, _, count in histograms["row_positions"]) == summary["rows"]
    assert all(last <= 64 for _, last, _ in histograms["row_positions"])
    has_sentences = manifest.objective == "mlm_nsp"
    assert bool(histograms["sentence_tokens"]) == has_sentences
    assert (summary["sentences"] is not None) == has_sentences


def test_buckets_hold_what_was_counted():
    numbers = np.array([0, 3, 3, 16, 18, 19, 100, 512])
    histogram = Histogram()
    histogram.add_all(numbers)
    found = buckets(histogram.counts, limit=512)
    assert found[-1] == [512, 512, 1]
    assert sum(count for _, _, count in found) == len(numbers)
    for first, last, count in found:
        assert np.count_nonzero((numbers >= first) & (numbers <= last)) == count


@pytest.mark.parametrize("low", [3, 2**20, 2**24])
def test_numbers_beyond_the_last_edge_are_in_an_open_bucket(low):
    histogram = Histogram()
    histogram.add_all(np.array([low, 2**24, 2**26]))
    found = buckets(histogram.counts)
    assert found[-1][:2] == [2**24, None]
    assert buckets(histogram.counts, limit=2**27)[-1][:2] == [2**24, 2**27]
    spans, counts = bars(found)
    assert spans[-1] == (2**24, None) and sum(counts) == 3
    assert "16,777,216 or more tokens" in histogram_svg(found, x_label="tokens", y_label="d")
    assert quantile(found, 0.95) == 2**24


# Plots.


def test_bars_have_no_gaps_and_lose_nothing():
    rng = np.random.default_rng(0)
    for limit in (3, 17, 40, 600, 10**6):
        for low in (0, 1, 16, 30):
            histogram = Histogram()
            histogram.add_all(rng.integers(low, low + limit, 300))
            spans, counts = bars(buckets(histogram.counts))
            assert sum(counts) == 300
            assert counts[0] and counts[-1]
            for before, after in zip(spans, spans[1:], strict=False):
                assert before[1] + 1 == after[0]
            # All bars of a logarithmic axis span about the same ratio.
            if low >= 30:
                ratios = [(last + 1) / first for first, last in spans]
                assert max(ratios) / min(ratios) < 1.1


def test_half_doublings_are_among_the_edges():
    spans, _ = bars([[1, 1, 5], [1448, 1721, 1]])
    assert spans[:6] == [(1, 1), (2, 2), (3, 3), (4, 5), (6, 7), (8, 10)]
    assert {first for first, _ in spans} <= set(EDGES.tolist())


@pytest.mark.parametrize("highest", [1, 4, 5, 6, 99, 1_000, 43_210, 10**9])
def test_ticks_are_few_and_reach_the_top(highest):
    ticks = nice_ticks(highest)
    assert ticks[0] == 0 and ticks[-2] < highest <= ticks[-1]
    assert 2 <= len(ticks) <= 6
    assert len(set(map(short, ticks))) == len(ticks)


def test_quantiles():
    assert quantile([[1, 1, 50], [2, 2, 50]], 0.5) == 1
    assert quantile([[1, 1, 49], [2, 2, 51]], 0.5) == 2
    assert quantile([[100, 199, 10]], 0.5) == 150
    assert quantile([[7, 7, 1]], 0.95) == 7


def test_a_bar_says_its_numbers():
    svg = histogram_svg([[3, 3, 1], [16, 18, 3]], x_label="tokens", y_label="documents")
    assert "16–18 tokens" in histogram_svg([[16, 18, 3]], x_label="tokens", y_label="rows")
    assert "3 tokens: 1 documents (25.00%)" in svg
    assert svg.count("<rect") == 2


# Samples.


def test_samples_are_rows_of_the_training_shards(data_set, vocab):
    directory, manifest = data_set
    samples = read_samples(manifest, directory)
    assert len(samples) == len({(s.shard, s.row) for s in samples}) > 1
    assert samples == read_samples(manifest, directory)
    assert samples != read_samples(manifest, directory, seed=1)
    documents = Path(manifest.arguments["inputs"][0]).read_text().replace("\n", " ")
    documents = documents.replace("zzz", "[UNK]").replace("  ", " ")
    for sample in samples:
        assert sample.shard.startswith("train-")
        assert sample.positions == sum(map(len, sample.sequences)) <= 64
        assert len(sample.sequences) == len(sample.is_random_next)
        for tokens, label in zip(sample.sequences, sample.is_random_next, strict=True):
            text = "".join(token.text for token in tokens)
            parts = text.removeprefix("[CLS]").removesuffix("[SEP]").split("[SEP]")
            assert len(parts) == (1 if label is None else 2)
            for part in parts:
                # The spaces around a hyphen or sign are guesses.
                assert part.replace(" ", "") in documents.replace(" ", "")
            types = [token.token_type for token in tokens]
            assert types == sorted(types) and (max(types) == 1) == (label is not None)
            has_masks = any(token.kind == "masked" for token in tokens)
            assert has_masks == (manifest.record_format == "bert")
            for token in tokens:
                assert bool(token.replaced_by) == (token.kind == "masked")


@pytest.mark.parametrize("data_set", ["pairs"], indirect=True)
def test_every_pair_of_a_row_has_its_own_label(data_set):
    directory, manifest = data_set
    seen = set()
    for sample in read_samples(manifest, directory):
        records = list(read_tfrecords(directory / sample.shard))
        labels = decode_rows(records, manifest.format)[sample.row]["next_sentence_labels"]
        assert sample.is_random_next == labels[labels >= 0].astype(bool).tolist()
        seen |= set(sample.is_random_next)
    assert seen == {True, False}


@pytest.mark.parametrize("data_set", ["bert"], indirect=True)
def test_masked_tokens_show_the_truth_and_what_stands_in_its_place(data_set, vocab):
    directory, manifest = data_set
    texts = piece_texts(load_tokenizer(vocab))
    seen = set()
    for sample in read_samples(manifest, directory):
        records = list(read_tfrecords(directory / sample.shard))
        row = decode_rows(records, manifest.format)[sample.row]
        (tokens,) = sample.sequences
        assert sample.is_random_next == [bool(row["next_sentence_labels"][0])]
        count = int(row["masked_lm_weights"].sum())
        truths = dict(zip(row["masked_lm_positions"][:count], row["masked_lm_ids"], strict=False))
        for position, token in enumerate(tokens):
            standing = row["input_ids"][position]
            assert (token.kind == "masked") == (position in truths)
            assert token.text.strip() == texts[truths.get(position, standing)].strip()
            if position in truths:
                kept = truths[position] == standing
                assert token.replaced_by == ("kept" if kept else texts[standing].strip())
                seen.add(token.replaced_by)
    assert {"[MASK]", "kept"} < seen


def test_a_tiny_set_has_fewer_samples(tmp_path, vocab):
    (tmp_path / "in.txt").write_text("the heart")
    arguments = PrepareArguments((str(tmp_path / "in.txt"),), "text", str(vocab))
    manifest = prepare(arguments, tmp_path / "data")
    assert len(read_samples(manifest, tmp_path / "data")) == 1


# The page.


class Page(HTMLParser):
    """Text and attributes of a page whose tags must be balanced."""

    def __init__(self, source: str):
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: set[str] = set()
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def test_the_page_is_sound_and_self_contained(data_set):
    directory, manifest = data_set
    report = render_report(manifest, directory)
    assert list(report) == ["corpus.json", "corpus.html"]
    assert report == render_report(manifest, directory)
    source = report["corpus.html"]
    page = Page(source)
    assert page.text.split()[:2] == ["data", "set"]
    assert page.tags.isdisjoint({"script", "link", "img", "iframe"})
    assert not [name for name, _ in page.attributes if name in ("src", "href")]
    assert "url(" not in source and "http" not in source
    assert f"{manifest.num_tokens:,}" in page.text and manifest.fingerprint in page.text
    # Every field shows what it is of.
    assert ("B follows A" in page.text or "B is random" in page.text) == (
        manifest.objective == "mlm_nsp"
    )
    assert ("data-input" in dict(page.attributes)) == (manifest.record_format == "bert")


def test_nothing_of_the_data_is_taken_for_html(data_set):
    directory, manifest = data_set
    hostile = "<script>alert('1')</script>&\0\udce4.gz"
    manifest = dataclasses.replace(
        manifest,
        failed={hostile: f'{hostile}: "bad" <b>'},
        dropped={"<i>odd": 3, "duplicate": 1},
        arguments={**manifest.arguments, "vocab": hostile, "inputs": [hostile] * 5},
    )
    samples = [
        Sample(hostile, 0, 1, [[Token(hostile, kind, hostile, 0)]], [None])
        for kind in ("", "masked", "special")
    ]
    source = render_page(summarize(manifest), manifest, samples, title=hostile)
    source.encode("utf-8")
    page = Page(source)
    assert "script" not in page.tags
    assert page.text.count("<script>alert('1')</script>&\ufffd\ufffd.gz") == 15
    assert '"bad" <b>' in page.text and "<i>odd" in page.text


def test_a_page_of_many_files_and_long_rows_stays_small(data_set):
    directory, manifest = data_set
    failed = {f"file{number}.gz": f"file{number}.gz: bad" for number in range(5000)}
    manifest = dataclasses.replace(
        manifest, failed=failed, arguments={**manifest.arguments, "inputs": list(failed)}
    )
    summary = summarize(manifest)
    sample = read_samples(manifest, directory)[0]
    long = dataclasses.replace(
        sample, sequences=sample.sequences[:1] * 3000, is_random_next=[True] * 3000
    )
    page = Page(render_page(summary, manifest, [long], title="x"))
    assert len(page.text) < 60_000
    assert summary["failed"] == failed
