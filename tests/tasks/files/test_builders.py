"""tensorflow-datasets builders: what is prepared and trained from is what the files hold."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from biobert_jax import cli
from biobert_jax.config_finetuning import FinetuneConfig, FinetuneDataConfig
from biobert_jax.corpus.text.tokenization import load_tokenizer
from biobert_jax.errors import UserError
from biobert_jax.files import file_sha256
from biobert_jax.formats.faults import Lines
from biobert_jax.tasks import fitted, protocol
from biobert_jax.tasks.files.annotated import chosen_types
from biobert_jax.tasks.files.checksums import SHA256
from biobert_jax.tasks.files.examples import Question, Span, TextExample
from biobert_jax.tasks.files.prepared import is_empty, is_prepared
from biobert_jax.tasks.files.registry import read_examples
from biobert_jax.tasks.files.releases import RELEASES
from biobert_jax.tasks.finetune import _sha256
from biobert_jax.tasks.run_data import read_data
from biobert_jax.tasks.task import Setting, task_of
from tests.commands.test_evaluate import _Model

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "biobert_jax/quickstart/samples"
# U+0085 and U+2028 are inside words; 𝛽, the flag and the astronaut are beyond 16 bits.
WORDS = "Fe\u0085ver\tB\n𝛽-actin\tI-Gene\n日本\tO\n\n🇯🇵\tO\nNa\u0308ive\u2028x\tB\n"
TEXT = "🧑‍🚀 naïve 𝛽-actin binds α."
SPANS = [Span(10, 17, "Gene"), Span(24, 25, "")]
SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "日本",
            "paragraphs": [
                {
                    "context": TEXT,
                    "qas": [
                        {
                            "id": "1",
                            "question": "Wer?",
                            "answers": [
                                {"text": "𝛽-actin", "answer_start": 10},
                                {"text": "α", "answer_start": 3},
                                {"text": "β", "answer_start": 0},
                            ],
                        },
                        {"id": "2", "question": "Wo?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
    ],
}
BIOASQ = {
    "questions": [
        {
            "id": "a",
            "type": "factoid",
            "body": "Which gene?",
            "exact_answer": [["α", "Alpha"], ["𝛽-actin"]],
            "snippets": [{"text": TEXT}, {"text": "Alpha alone."}],
        },
        {"id": "b", "type": "factoid", "body": "Asked?", "snippets": [{"text": TEXT}]},
        {"id": "c", "type": "yesno", "body": "Is it?", "snippets": [{"text": TEXT}]},
    ]
}


@pytest.fixture(scope="module")
def tfds():
    module = pytest.importorskip("tensorflow_datasets")
    import biobert_jax.tasks.files.builders  # noqa: F401

    module.disable_progress_bar()
    return module


@pytest.fixture
def prepare(tfds, tmp_path, monkeypatch):
    """`prepare(name, manual_dir, config)` prepares a set in a folder of the test's own."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))

    def prepare(name, manual_dir, config=None):
        return tfds.load(
            name,
            data_dir=tmp_path / "tfds",
            builder_kwargs={"config": config} if config else None,
            download_and_prepare_kwargs={
                "download_config": tfds.download.DownloadConfig(manual_dir=manual_dir)
            },
        )

    return prepare


def own(types=(), **files):
    from biobert_jax.tasks.files.builders import FilesConfig

    return FilesConfig("own", files=files, types=types)


def written(folder, **contents):
    """A folder of files; what is no text is written as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return folder


def test_sentences_come_back_as_their_file_has_them(prepare, tmp_path, capsys):
    files = {"train_tsv": WORDS, "devel_tsv": WORDS[:20], "test_tsv": "only\nwords\n\n𝛽\n"}
    folder = written(tmp_path / "NCBI-disease", **files)
    sets = prepare("biobert_ner/ncbi_disease", tmp_path)
    # They are not the ones that were published.
    assert "train.tsv: not the published file (its SHA-256 is" in capsys.readouterr().err
    counts = {split: len(found) for split, found in sets.items()}
    assert counts == {"train": 2, "validation": 1, "test": 2}
    for names in (("train.tsv", "train"), ("devel.tsv", "validation", "dev"), ("test.tsv", "test")):
        file = read_examples(folder / names[0], "ner")
        for name in names:
            path = f"tfds:biobert_ner/ncbi_disease/{name}"
            assert read_examples(path, "ner") == file and not is_empty(path)
    [first, second] = read_examples("tfds:biobert_ner/ncbi_disease:1.0.0/train", "ner")
    assert second.words == ("🇯🇵", "Na\u0308ive\u2028x")
    assert second.where == "tfds:biobert_ner/ncbi_disease: train.tsv:5"
    [bare, _] = read_examples("tfds:biobert_ner/ncbi_disease/test", "ner")
    assert (bare.words, bare.labels) == (("only", "words"), ())


def test_annotated_documents_come_back_with_their_ids(prepare, tmp_path):
    text = "7|t|TNF in man.\n7\t0\t3\tTNF\tGene\n7\t7\t10\tman\tSpecies\n"
    folder = written(tmp_path / "files", train_PubTator=text)
    prepare("biobert_ner", folder, own(train="train.PubTator"))
    path = "tfds:biobert_ner/own/train"
    [found] = read_examples(path, "ner")
    assert (found.document, found.labels) == ("7", ("B-Gene", "O", "B-Species", "O"))
    notes = Lines()
    [found] = read_examples(path, "ner", note=notes.of(path), types={"Gene": "Protein"})
    assert found.labels == ("B-Protein", "O", "O", "O")
    assert notes.shown() == [f"{path}: 1 Species mention: left out by data.types"]


def test_types_of_documents_are_chosen_before_or_after(prepare, tmp_path):
    lines = ["7|t|TP53 and its lung cancer.", "7|a|", "7\t0\t4\tTP53\tGene\t1"]
    lines += ["7\t13\t24\tlung cancer\tDisease\t2", ""]
    folder = written(tmp_path / "files", train_pubtator="\n".join(lines) + "\n")
    path = "tfds:biobert_ner/own/train"
    prepare("biobert_ner", folder, own(train="train.pubtator"))
    [sentence] = read_examples(path, "ner")
    assert [sentence] == read_examples(folder / "train.pubtator", "ner")
    assert sentence.document == "7" and {"B-Gene", "I-Disease"} < set(sentence.labels)
    genes = {"types": chosen_types(["Gene=G"])}
    expected = read_examples(folder / "train.pubtator", "ner", **genes)
    assert read_examples(path, "ner", **genes) == expected
    shutil.rmtree(tmp_path / "tfds")
    prepare("biobert_ner", folder, own(types=["Gene=G"], train="train.pubtator"))
    assert read_examples(path, "ner") == expected
    assert set(expected[0].labels) == {"O", "B-G"}


def test_a_checkpoint_is_scored_on_a_prepared_set(prepare, tmp_path, monkeypatch, capsys):
    folder = written(tmp_path / "files", test_tsv="deep vein\tB\nthrombosis\tI\nof\tO\nlegs\tB\n")
    prepare("biobert_ner", folder, own(train="test.tsv"))
    capsys.readouterr()
    monkeypatch.setattr(fitted, "FittedModel", _Model)
    # A run's own set counts for what it was trained on.
    workdir = written(
        tmp_path / "run", config_json={"data": {"dir": "tfds:biobert_ner/own", "train": ["train"]}}
    )
    command = ["evaluate", "--checkpoint", str(workdir), "--data"]
    assert cli.main([*command, "tfds:biobert_ner/own/train"]) == 0
    said = capsys.readouterr()
    assert "shared with the training files: 1 of 1 sentence" in said.err
    assert cli.main([*command, str(folder / "test.tsv")]) == 0
    assert capsys.readouterr().out == said.out and "FB1" in said.out
    assert cli.main([*command, "tfds:biobert_ner/own/trian"]) == 1
    assert "no split 'trian': did you mean 'train'?" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "tfds")
    assert cli.main([*command, str(folder / "test.tsv")]) == 0
    assert "give the training files by --training" in capsys.readouterr().err


def test_texts_come_back_with_all_that_they_may_have(prepare, tmp_path):
    marked = {"id": "x", "text": TEXT, "labels": ["a", "ü"], "group": "g"}
    marked["entities"] = [{"start": s, "end": e, "type": t} for s, e, t in SPANS if t]
    lines = [marked, {"id": "y", "text": "none", "labels": []}, {"id": "z", "text": "unknown"}]
    folder = written(
        tmp_path / "files",
        train_jsonl="".join(json.dumps(line) + "\n" for line in lines),
        pairs_tsv="id\tsentence1\tsentence2\tscore\n0\ta\t𝛽\t0.30000000000000004\n1\tb\tc\t-0.0\n",
    )
    prepare("biobert_classification", folder, own(train="train.jsonl", test="pairs.tsv"))
    [x, y, z] = found = read_examples(
        "tfds:biobert_classification/own/train.jsonl", "classification"
    )
    assert found == read_examples(folder / "train.jsonl", "classification")
    assert [x.text[s.start : s.end] for s in x.spans] == ["𝛽-actin"] and x.spans == (SPANS[0],)
    assert (x.labels, y.labels, z.labels) == (("a", "ü"), (), None)
    pairs = read_examples("tfds:biobert_classification/own/test", "classification")
    assert pairs == read_examples(folder / "pairs.tsv", "classification")
    assert pairs[0] == TextExample("0", "a", "𝛽", value=0.30000000000000004)
    assert str(pairs[1].value) == "-0.0"


def test_questions_come_back_with_their_answers_places(prepare, tmp_path):
    folder = written(tmp_path / "files", train_json=SQUAD, test_json=BIOASQ)
    prepare("biobert_qa", folder, own(train="train.json", test="test.json"))
    said, noted = [], []
    for path, notes in ((folder, said), ("tfds:biobert_qa/own", noted)):
        found = [
            read_examples(f"{path}/{name}", "qa", note=lambda *x, notes=notes: notes.append(x))
            for name in ("train.json", "test.json")
        ]
        if path == folder:
            expected = found
    assert found == expected
    [[one, two], [*asked]] = found
    assert [TEXT[s : s + len(a)] for a, s in zip(one.answers, one.starts, strict=True)] == [
        *("𝛽-actin", "α", "")
    ] and one.starts == (10, 24, -1)
    assert (one.is_impossible, two.is_impossible, asked[0].is_impossible) == (False, True, None)
    assert isinstance(two, Question) and two.document == "日本"
    assert asked[0].synonyms == (("α", "Alpha"), ("𝛽-actin",)) and asked[2].synonyms == ()
    # What the reader noted is noted again, with the set for the file's folder.
    assert len(said) == 3
    assert [(w.replace("tfds:biobert_qa/own: ", f"{folder}/"), what) for w, what in noted] == said


def test_folds_splits_of_zero_bytes_and_one_kind_of_question(prepare, tmp_path, capsys):
    sample = (SAMPLES / "relations/train.tsv").read_text()
    written(tmp_path / "GAD/1", train_tsv=sample, dev_tsv="", test_tsv=sample)
    assert set(prepare("biobert_classification/gad_1", tmp_path)) == {"train", "test"}
    assert "dev.tsv: 0 bytes: no split validation" in capsys.readouterr().err
    assert is_empty("tfds:biobert_classification/gad_1/dev.tsv")
    assert read_examples("tfds:biobert_classification/gad_1/dev.tsv", "classification") == []
    # Folds are folders, as with files; one that was not prepared is missing.
    shutil.copytree(tmp_path / "GAD/1", tmp_path / "GAD/10")
    prepare("biobert_classification/gad_10", tmp_path)
    data = FinetuneDataConfig(dir="tfds:biobert_classification/gad", eval="dev.tsv")
    config = FinetuneConfig(task="classification", data=data, retrain=True)
    assert protocol.folds_of(config, "all") == ["1", "10"]
    with pytest.raises(UserError, match="biobert_classification/gad has no folder 2: it has 1, 10"):
        protocol.folds_of(config, "1,2")
    runs = []

    def run_one(config, workdir, kept):
        runs.append((config, read_data(task_of("classification"), config, print)))
        return {"test": {"f1": 1.0}}

    protocol.finetune_all(config, tmp_path / "run", folds=["1", "10"], run_one=run_one)
    # Trained once, since there is nothing to train again with.
    assert [config.data.dir.rpartition("/")[2] for config, _ in runs] == ["1", "10"]
    assert len(runs[1][1].train) == 48 and not runs[1][1].held_out
    prepare("biobert_qa/bioasq_list", SAMPLES / "bioasq")
    found = read_examples("tfds:biobert_qa/bioasq_list/train", "qa")
    everything = read_examples(SAMPLES / "bioasq/train.json", "qa")
    assert found == [q for q in everything if q.kind == "list"] != everything


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A vocabulary of the samples' letters."""
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    letters = sorted({letter for letter in map(chr, range(33, 127))})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{x}" for x in letters)]
    path.write_text("\n".join(pieces) + "\n")
    return load_tokenizer(path)


@pytest.mark.parametrize(
    ("task", "folder", "suffix", "more"),
    [
        ("ner", "entities", "tsv", {}),
        ("classification", "mentions", "jsonl", {"markers": "tags", "class_weights": "balanced"}),
        ("classification", "pairs", "tsv", {"kind": "regression"}),
        ("qa", "bioasq", "json", {"answer_kind": "factoid", "stride": 16}),
    ],
)
def test_a_run_packs_the_same_rows(task, folder, suffix, more, prepare, tokenizer):
    files = {"train": "train", "eval": "devel", "test": "test"}
    files = {split: f"{name}.{suffix}" for split, name in files.items()}
    config = own(train=files["train"], validation=files["eval"], test=files["test"])
    prepare(f"biobert_{task}", SAMPLES / folder, config)
    runs = []
    # By the splits' names, as a user gives them, and by those of the files, as presets do.
    by_split = {"train": ("train",), "eval": "validation", "test": "test"}
    by_file = {**files, "train": (files["train"],)}
    own_set = f"tfds:biobert_{task}/own"
    for directory, names in ((SAMPLES / folder, by_file), (own_set, by_split), (own_set, by_file)):
        data = FinetuneDataConfig(dir=str(directory), max_seq_length=128, **names, **more)
        read = read_data(task_of(task), FinetuneConfig(task=task, data=data), print)
        setting = Setting(read.labels, read.options, tokenizer, 128)
        arrays = [
            task_of(task).encode(examples, setting, 7).arrays(with_targets=True)
            for examples in (read.train, read.held_out, read.test)
        ]
        runs.append((read, arrays, [_sha256(x, setting) for x in arrays]))
    [(read, arrays, hashes), *others] = runs
    assert len(read.train) > 10 and all(len(x["input_ids"]) for x in arrays)
    for other_read, other_arrays, other_hashes in others:
        assert other_read == read and other_hashes == hashes
        for mine, theirs in zip(arrays, other_arrays, strict=True):
            assert mine.keys() == theirs.keys()
            assert all(np.array_equal(mine[name], theirs[name]) for name in mine)


def test_what_changed_since_is_noticed(prepare, tmp_path):
    folder = written(tmp_path / "files", train_tsv=WORDS)
    prepare("biobert_ner", folder, own(train="train.tsv"))
    path, notes = "tfds:biobert_ner/own/train", []
    (folder / "train.tsv").write_text("other\tO\n", encoding="utf-8")
    found = read_examples(path, "ner", note=lambda *note: notes.append(": ".join(note)))
    assert len(found) == 2
    assert notes == [
        f"tfds:biobert_ner/own: {folder / 'train.tsv'} has changed since: the examples are what "
        "they were before"
    ]
    shutil.rmtree(folder)
    assert read_examples(path, "ner") == found

    [prepared] = (tmp_path / "tfds/biobert_ner/own").iterdir()
    metadata = (prepared / "metadata.json").read_text()
    values = json.loads(metadata)
    values["files"]["train"]["examples_sha256"] = "0" * 64
    (prepared / "metadata.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match="examples of split train are not those that were prepared"):
        read_examples(path, "ner")
    (prepared / "metadata.json").write_text("{}")
    with pytest.raises(UserError, match=r"1\.0\.0: its metadata.json is not that of"):
        read_examples(path, "ner")
    (prepared / "metadata.json").write_text(metadata)
    [records] = prepared.glob("*.tfrecord*")
    content = bytearray(records.read_bytes())
    content[len(content) // 2] ^= 1
    records.write_bytes(content)
    with pytest.raises(UserError, match=r"1\.0\.0: cannot be read \(.*\): prepare it anew"):
        read_examples(path, "ner")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("biobert_nerr/own/train", "no builder 'biobert_nerr': did you mean 'biobert_ner'?"),
        ("biobert_ner/ncbi_diseases/train", "has no set 'ncbi_diseases': did you mean 'ncbi_dise"),
        ("biobert_ner/owns/train", "biobert_ner has no set 'owns': did you mean 'own'?"),
        ("biobert_ner/train", "biobert_ner has no set ''"),
        ("biobert_ner/bc2gm/train", "bc2gm is not prepared in .*: prepare it .docs/tasks.md.*DATA"),
        ("biobert_ner/own:2.0.0/train", "biobert_ner/own has no version 2.0.0: known: 1.0.0"),
        ("biobert_ner/own/trian", "own has no split 'trian': did you mean 'train'?"),
        ("biobert_ner/own/devel.tsv", "own has no split 'devel.tsv': .*known: train; data.train"),
        ("biobert_qa/own/train", "biobert_qa/own is not of task ner, whose sets are tfds:biobert_"),
    ],
)
def test_wrong_names_are_one_line_with_the_nearest(path, words, prepare, tmp_path, capsys):
    written(tmp_path / "files", train_tsv=WORDS, train_json=SQUAD)
    task = path.partition("/")[0]
    if task != "biobert_nerr":
        name = "train.json" if task == "biobert_qa" else "train.tsv"
        prepare(task, tmp_path / "files", own(train=name))
    with pytest.raises(UserError, match=words) as caught:
        read_examples(f"tfds:{path}", "ner")
    assert "\n" not in str(caught.value)


def test_what_cannot_be_prepared_is_said(prepare, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/other.txt").write_text("x")
    with pytest.raises(UserError, match="no train.tsv in it or in its folder bc2gm: give the"):
        prepare("biobert_ner/bc2gm", tmp_path / "empty")
    folder = written(tmp_path / "files", train_tsv="word\tB\ntwo words\tX\n")
    with pytest.raises(UserError, match="train.tsv:2: label 'X'"):
        prepare("biobert_ner", folder, own(train="train.tsv"))
    # Nothing is left that could be taken for a set.
    with pytest.raises(UserError, match="biobert_ner has no set 'own'"):
        read_examples("tfds:biobert_ner/own/train", "ner")
    with pytest.raises(UserError, match="data.format is 'conll', but tfds:biobert_ner/own/train"):
        read_examples("tfds:biobert_ner/own/train", "ner", "conll")


def test_another_configuration_of_a_name_is_noticed(prepare, tmp_path):
    folder = written(tmp_path / "files", **{"a.tsv": "A\tB-x\n", "b.tsv": "B\tB-x\n"})
    for _ in range(2):
        assert len(prepare("biobert_ner", folder, own(train="a.tsv"))["train"]) == 1
    with pytest.raises(UserError, match="which is another configuration: give another name"):
        prepare("biobert_ner", folder, own(train="b.tsv"))


def test_what_another_task_has_is_refused(prepare, tmp_path):
    folder = written(tmp_path / "files", **{"a.tsv": "text one\t1\n"})
    with pytest.raises(UserError, match="types are of biobert_ner"):
        prepare("biobert_classification", folder, own(train="a.tsv", types=("Gene",)))


def test_without_tensorflow_datasets_it_is_said(prepare, tmp_path, monkeypatch):
    prepare("biobert_ner", written(tmp_path / "files", train_tsv=WORDS), own(train="train.tsv"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"own: needs tensorflow-datasets: pip install 'biobert"):
        read_examples("tfds:biobert_ner/own/train", "ner")


def test_every_preset_has_its_set():
    presets = {
        preset
        for name in ("ner", "classification", "qa")
        for preset in runpy.run_path(str(ROOT / f"experiments/{name}.py"))["PRESETS"]
    }
    sets = [name for releases in RELEASES.values() for name in releases]
    assert len(set(sets)) == len(sets)
    # A preset of folds has a set for each.
    assert {p for p in presets if p not in sets and f"{p}_10" not in sets} == {"quickstart"}
    files = {
        f"{name}/{file}"
        for releases in RELEASES.values()
        for name, release in releases.items()
        for names in release.files.values()
        for file in names
    }
    assert set(SHA256) <= files


def test_training_on_files_imports_no_tensorflow(tmp_path):
    path = written(tmp_path, train_tsv=WORDS) / "train.tsv"
    code = (
        "import sys; from biobert_jax.tasks.files.registry import read_examples; "
        f"assert len(read_examples({str(path)!r}, 'ner')) == 2; "
        "sys.exit(bool({'tensorflow', 'tensorflow_datasets'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
    assert not is_prepared(path)


def test_published_files_are_those_of_the_table(shared_data):
    folders = {"chemprot": "re/chemprot", "bc2gm": "ner/BC2GM", "ncbi_disease": "ner/NCBI-disease"}
    folders |= {"bc5cdr_disease": "ner/BC5CDR-disease", "bc5cdr_chem": "ner/BC5CDR-chem"}
    folders |= {f"gad_{fold}": f"re/GAD/{fold}" for fold in range(1, 11)}
    checked = 0
    for name, sha256 in SHA256.items():
        set_, _, file = name.partition("/")
        if set_ in folders:
            assert file_sha256(shared_data / folders[set_] / file) == sha256, name
            checked += 1
    assert checked == 35


def test_ncbi_disease_is_prepared_whole(prepare, shared_data, capsys):
    sets = prepare("biobert_ner/ncbi_disease", shared_data / "ner/NCBI-disease")
    counts = {split: len(found) for split, found in sets.items()}
    assert counts == {"train": 5424, "validation": 923, "test": 940}
    assert "warning" not in capsys.readouterr().err
    for name in ("devel.tsv", "test.tsv"):
        expected = read_examples(shared_data / "ner/NCBI-disease" / name, "ner")
        assert read_examples(f"tfds:biobert_ner/ncbi_disease/{name}", "ner") == expected
