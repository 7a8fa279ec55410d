"""JSON lines: SciBERT's ChemProt, a user's own relations, and what is wrong by file and line."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.errors import UserError
from biobert_jax.tasks.files.examples import Span, TextExample
from biobert_jax.tasks.files.jsonl import read_jsonl


def read(tmp_path, *lines, **options):
    path = tmp_path / "x.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return read_jsonl(path, **options)


def test_sciberts_chemprot(shared_data):
    splits = {
        s: read_jsonl(shared_data / f"re/chemprot-scibert/{s}.txt")
        for s in ("train", "dev", "test")
    }
    assert [len(split) for split in splits.values()] == [4169, 2427, 3469]
    assert len({e.labels for e in splits["train"]}) == 13
    assert all(e.text.count("<< ") == 1 and " ]]" in e.text for e in splits["test"])
    assert Counter(e.labels for e in splits["train"]).most_common(1)[0][0] == ("INHIBITOR",)


def test_every_field(tmp_path):
    text = "𝛽-catenin binds TCF4"
    line = {
        "id": 7,
        "text": text,
        "pair": "x",
        "labels": ["A", "B"],
        "value": 2,
        "group": "g",
        "entities": [{"start": 0, "end": 9, "type": "Gene", "text": "𝛽-catenin"}],
        "other": None,
    }
    assert read(tmp_path, json.dumps(line)) == [
        TextExample("7", text, "x", ("A", "B"), 2.0, (Span(0, 9, "Gene"),), "g")
    ]


@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        ("", None),
        (', "label": null', None),
        (', "label": "x"', ("x",)),
        (', "label": 1', ("1",)),
        (', "label": true', ("true",)),
        (', "label": ["x"]', ("x",)),
        (', "labels": []', ()),
        (', "labels": ["x", 2]', ("x", "2")),
    ],
)
def test_labels(tmp_path, fields, labels):
    [example] = read(tmp_path, "", '{"text": "a"' + fields + "}")
    assert example.labels == labels
    assert example.where.endswith("x.jsonl:2")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a"', r"x\.jsonl:2: not JSON at column 13: .* cut off"),
        ("[" * 100_000, r"x\.jsonl:2: not JSON: nested too deep"),
        ('["a"]', r"x\.jsonl:2: not an object but \['a'\]"),
        ('{"label": "x"}', r'x\.jsonl:2: no "text"'),
        ('{"text": " "}', r'x\.jsonl:2: no "text"'),
        ('{"text": "\\ud800"}', r'x\.jsonl:2: no "text"'),
        ('{"text": "a", "pair": 3}', r"x\.jsonl:2: pair is 3"),
        ('{"text": "a", "label": 1.5}', r"x\.jsonl:2: label is 1\.5: give a name"),
        ('{"text": "a", "label": []}', r"x\.jsonl:2: label is empty: several or none go under lab"),
        ('{"text": "a", "labels": [""]}', r"x\.jsonl:2: labels is \[''\]"),
        ('{"text": "a", "value": "3"}', r"x\.jsonl:2: value is '3': give a number"),
        ('{"text": "a", "value": NaN}', r"x\.jsonl:2: value is nan: give a number"),
        ('{"text": "a", "id": [1]}', r"x\.jsonl:2: id is \[1\]"),
        ('{"text": "a", "id": "0"}', r"x\.jsonl:2: id '0' stands at .*x\.jsonl:1 already"),
        ('{"text": "a", "entities": 3}', r"x\.jsonl:2: entities is 3: give a list of"),
        ('{"text": "a", "entities": [3]}', r"x\.jsonl:2: entities\[0\] is 3"),
        ('{"text": "a", "entities": [{"start": 0, "end": 1}]}', r":2: entities\[0\] needs whole"),
        (
            '{"text": "a", "entities": [{"start": 0, "end": 2, "type": "G"}]}',
            r"x\.jsonl:2: entities\[0\], 0 to 2, is not in the text of 1 code points",
        ),
        (
            '{"text": "ab", "entities": [{"start": 0, "end": 1, "type": "G", "text": "b"}]}',
            r"x\.jsonl:2: entities\[0\] is 'b', but the text has 'a'",
        ),
    ],
)
def test_faults_name_file_and_line(tmp_path, line, message):
    first = '{"id": "0", "text": "a"}'
    with pytest.raises(UserError, match=message):
        read(tmp_path, first, line)
    faults = []
    kept = read(
        tmp_path, first, line, first[:9] + "9" + first[9:], fault=lambda *f: faults.append(f)
    )
    assert [e.id for e in kept] == ["0", "09"]
    assert [where[-2:] for where, _ in faults] == [":2"]


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip)))
def test_offsets_round_trip_on_any_text(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("jsonl") / "x.jsonl"
    lines = [
        {"text": t, "entities": [{"start": s, "end": len(t), "type": "X", "text": t[s:]}]}
        for t in texts
        for s in [len(t) // 2]
    ]
    for ascii_ in (True, False):
        content = "".join(json.dumps(line, ensure_ascii=ascii_) + "\n" for line in lines)
        path.write_text(content, encoding="utf-8", newline="\n")
        found = read_jsonl(path)
        assert [e.text for e in found] == texts
        assert [e.spans[0].start for e in found] == [len(t) // 2 for t in texts]
