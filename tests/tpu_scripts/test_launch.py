"""setup, launch, logs and fetch: what reaches the workers, and what comes back."""

import json
import os
import random
import re
import shutil
import subprocess
import tarfile
import time

import pytest
from pod.setup import CHECKOUT

from tests.tpu_scripts.conftest import ROOT, Run


def wait_until(holds, seconds=30.0):
    """Waits for another process."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.05)


def states(run) -> list[tuple[str, str]]:
    """Each worker's state and exit code."""
    process = run.process("status", "--json", stdout=subprocess.PIPE)
    shown = json.loads(process.communicate()[0])
    return [(row["state"], row["code"]) for row in shown["workers"]]


def let_end(run, node: str, code: str) -> None:
    """Lets `wait_for_end` end; a file that is seen is whole."""
    path = run.cloud.home(node) / "end"
    path.with_name("end.new").write_text(code)
    path.with_name("end.new").rename(path)


def everything_written(run) -> bytes:
    """All that scripts, gcloud and workers have left in files, and on command lines."""
    written = json.dumps(run.cloud.calls()).encode()
    for folder in (run.cloud.folder / "workers", run.config.with_name("run.toml.state")):
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and "checkouts" not in path.parts:
                written += path.read_bytes()
    return written


def test_setup_brings_what_is_tracked_and_compares(run):
    ready = run
    run("create", "--yes")
    run("setup")
    homes = [ready.cloud.home(node) for node in ("demo-0", "demo-1")]
    tracked = subprocess.run(
        ["git", "-C", CHECKOUT, "ls-files"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for home in homes:
        there = (home / "biobert_tpu" / "current").resolve()
        for name in tracked:
            if (CHECKOUT / name).exists():
                assert (there / name).read_bytes() == (CHECKOUT / name).read_bytes(), name
        uv = (home / "uv_calls").read_text()
        assert re.findall(r" (venv|pip \w+) ", uv) == ["venv", "pip sync", "pip install"]
        assert "--require-hashes requirements/tpu.lock" in uv and "--python 3.12 .venv" in uv
    # Nothing has changed: nothing is sent, nothing installed.
    before = len(ready.cloud.calls())
    said = ready("setup").stderr
    assert "2 workers have the same" in said and "jax " in said
    assert "scp" not in [word for words in ready.cloud.calls()[before:] for word in words]
    assert (homes[0] / "uv_calls").read_text() == uv.replace(str(homes[1]), str(homes[0]))
    # A worker whose packages have been meddled with.
    package = (homes[1] / "biobert_tpu" / "current").resolve()
    fake = package / "jax-0.0.1.dist-info"
    fake.mkdir()
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: zebra\nVersion: 1\n")
    error = ready.fails("setup")
    assert "slice 1 worker 0 differs from slice 0 worker 0: zebra 1 against missing" in error


@pytest.mark.slow
def test_setup_tries_again_and_says_what_failed(run):
    run("create", "--yes")
    home = run.cloud.home("demo-1")
    (home / "uv_fails").touch()
    error = run.fails("setup")
    assert error.startswith("error: setup: slice 1 worker 0: ") and "no route to the index" in error
    assert (home / "uv_calls").read_text().count(" venv ") == 3
    (home / "uv_fails").unlink()
    run.cloud.set(silent=["demo-0/0"])
    assert "255" in run.fails("setup") or "does not answer" in run.fails("setup")
    run.cloud.set(silent=[])
    run("setup")


def hostile_arguments() -> list[bytes]:
    """200 of them: what shells, gcloud, ssh and Python could stumble over."""
    canary = "CANARY"
    fixed = [
        "", " ", "  two  blanks  ", "\t", "\n", "a\nb\n", "\r\n", "-", "--", "-rf",
        "--command=x", "--config", "-n", "'", "''", '"', "'\"'", "a'b", "\\", "\\\\", "\\n",
        "\\'", "$HOME", "${HOME}", f"$(touch {canary})", f"`touch {canary}`",
        f"; touch {canary}", f"&& touch {canary}", f"| touch {canary}", f"> {canary}",
        f"\ntouch {canary}\n", f"' ; touch {canary} ; '", f"'\n touch {canary}\n'",
        f"\"; touch {canary}; \"", f"$((touch {canary}))", "*", "?", "[a-z]*", "~", "~root",
        "{a,b}", "!", "!!", "!$", "#", "# x", "a#b", "&", "|", ";", "<", ">", "(", ")", "%",
        "%s", "%d%n", "%USER%", "%TPU%", "=", "A=b", "^", "ä", "é\u0301", "日本語", "🧬", "\u202e",
        "\u00a0", "\u2028", "\ufeff", "\x01", "\x07", "\x1b[31m", "\x7f", "\\x41", "$'\\n'",
        "EOF", "<<EOF", "a" * 5000, "'" * 300, "@tpu_scripts {}", "gs://a b/c'd", "/dev/null",
        "..", "$0", "$@",
    ]  # fmt: skip
    arguments = [text.encode() for text in fixed] + [b"\xff\xfe", b"caf\xe9", b"\x80'\n"]
    rng = random.Random(13)
    pieces = [
        b"'",
        b'"',
        b"\\",
        b"$",
        b"`",
        b" ",
        b"\n",
        b"-",
        b"*",
        b"~",
        b"!",
        b"\xc3\xa4",
        b"\xff",
    ]
    pieces += [b"$(touch CANARY)", b"`touch CANARY`", b"\ntouch CANARY\n", b"x", b"%", b"#", b"\t"]
    while len(arguments) < 200:
        arguments.append(b"".join(rng.choices(pieces, k=rng.randrange(1, 12))))
    return arguments


@pytest.mark.parametrize("part", range(2))
def test_hostile_arguments_arrive_byte_for_byte(ready, part):
    arguments = hostile_arguments()[part::2]
    assert len(arguments) == 100
    words = [os.fsdecode(argument) for argument in arguments]
    ready("launch", "--", "keep_arguments", *words)
    for node in ("demo-0", "demo-1"):
        got = ready.cloud.home(node) / "arguments"
        wait_until(got.exists)
        assert got.read_bytes() == b"".join(argument + b"\0" for argument in arguments)
    assert not [path for path in ready.folder.rglob("CANARY*")]
    assert not list(ROOT.glob("CANARY*"))


def test_a_dry_run_of_launch_is_what_a_shell_runs(ready):
    words = ["keep_arguments", "a b", "$HOME", "'\n'", "ä\ud800"]
    before = len(ready.cloud.calls())
    lines = ready("launch", "--dry_run", "--", *words[:4]).stdout.splitlines()
    assert len(ready.cloud.calls()) == before
    commands = [json.loads(line) for line in lines]
    assert [words[4] for words in commands] == ["list"] + ["ssh"] * 4
    [remote] = [word for word in commands[-1] if word.startswith("--command=")]
    assert 'worker.sh" start demo 1 ' in remote and "keep_arguments 'a b' '$HOME'" in remote


def test_secrets_and_variables_travel_in_no_word(ready):
    secrets = {f"SECRET_{i}": f"hush-{i}-'\"$(touch CANARY)\n\\ä" for i in range(30)}
    ready.variables |= secrets
    values = {"PLAIN": "a 'b'\n$HOME `x` \\", "EMPTY": ""}
    table = "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
    ready.configure(top=f"secrets = {json.dumps(list(secrets))}", tables=f"[env]\n{table}\n")
    code = (
        "import json, os; h = os.environ['HOME']; "
        "open(h + '/seen.new', 'w').write(json.dumps(dict(os.environ))); "
        "os.rename(h + '/seen.new', h + '/seen')"
    )
    ready("launch", "--", "python3", "-c", code)
    assert (ready.cloud.folder / "sent").read_text().splitlines()[-2:] == ["env 600"] * 2
    for index, node in enumerate(("demo-0", "demo-1")):
        seen = ready.cloud.home(node) / "seen"
        wait_until(seen.exists)
        environment = json.loads(seen.read_text())
        assert {name: environment[name] for name in secrets} == secrets
        assert {name: environment[name] for name in values} == values
        assert environment["TPU_SCRIPTS_SLICE"] == str(index)
        assert environment["TPU_SCRIPTS_WORKER"] == "0"
        seen.unlink()
    wait_until(lambda: states(ready) == [("ended", "0")] * 2)
    ready("fetch")
    assert b"hush" not in everything_written(ready)
    del ready.variables["SECRET_3"]
    assert "secrets: SECRET_3 not set" in ready.fails("launch", "--", "true")


def test_names_of_files_may_be_anything(ready, tmp_path):
    ready.configure(tables='[env]\nA = "x"\n')
    odd = tmp_path / "a:b 'c' $(touch CANARY)" / "-- \n.toml"
    odd.parent.mkdir()
    shutil.copy(ready.config, odd)
    other = Run(odd.parent, ready.cloud, name=odd.name)
    other("setup")
    other("launch", "--", "sh", "-c", 'echo "$A" >"$HOME/seen"')
    wait_until((ready.cloud.home("demo-1") / "seen").exists)
    bucket = ready.cloud.folder / "buckets" / "b" / "x y"
    bucket.parent.mkdir(parents=True, exist_ok=True)
    bucket.write_text("z")
    other("fetch", "gs://b/x y")
    state = odd.with_name(f"{odd.name}.state")
    assert (state / "fetched" / "gs" / "b" / "x y").read_text() == "z"
    assert (state / "fetched" / "logs" / "slice0_worker0.log").exists()
    assert not list(tmp_path.rglob("CANARY*"))


def test_variables_of_an_earlier_life_are_not_kept(ready):
    # As a login shell's profile of the image may set them.
    for node in ("demo-0", "demo-1"):
        home = ready.cloud.home(node)
        (home.parent / "bin" / "setsid").write_text(
            "#!/bin/sh\nexport MEGASCALE_SLICE_ID=7 MEGASCALE_COORDINATOR_ADDRESS=gone\n"
            'exec /usr/bin/setsid "$@"\n'
        )
        (home.parent / "bin" / "setsid").chmod(0o755)
    ready("launch", "--", "sh", "-c", 'env >"$HOME/seen.new"; mv "$HOME/seen.new" "$HOME/seen"')
    for node in ("demo-0", "demo-1"):
        seen = ready.cloud.home(node) / "seen"
        wait_until(seen.exists)
        assert "MEGASCALE" not in seen.read_text() and "TPU_SCRIPTS_SLICE" in seen.read_text()


def test_a_run_goes_on_alone_and_is_not_started_twice(ready):
    assert ready("launch", "--", "wait_for_end").stderr.endswith("shows what it says\n")
    assert states(ready) == [("running", "")] * 2
    error = ready.fails("launch", "--", "wait_for_end")
    assert "a run is alive on slice 0 worker 0, slice 1 worker 0" in error

    def logs() -> set[str]:
        process = ready.process("logs", stdout=subprocess.PIPE)
        return set(process.communicate()[0].splitlines())

    wait_until(lambda: {"0.0 | waiting", "1.0 | waiting"} <= logs())
    for node, code in (("demo-0", "0"), ("demo-1", "7")):
        let_end(ready, node, code)
    wait_until(lambda: states(ready) == [("ended", "0"), ("ended", "7")])
    assert "slice 1 worker 0: ended with 7" in ready("status", code=1).stdout
    # The second launch's log goes on in the first one's file, with a code of its own.
    let_end(ready, "demo-1", "0")
    ready("launch", "--", "wait_for_end")
    wait_until(lambda: states(ready) == [("ended", "0")] * 2)
    ready("fetch", "--output", str(ready.folder / "got"))
    got = ready.folder / "got" / "logs"
    assert (got / "slice1_worker0.exit_code").read_text() == "0\n"
    assert (got / "slice0_worker0.log").read_text().count("waiting\n") == 2


def test_a_worker_that_is_silent_or_busy_stops_the_launch(ready):
    ready.cloud.set(silent=["demo-1/0"])
    assert "launch: slice 1 worker 0 does not answer" in ready.fails("launch", "--", "true")
    ready.cloud.set(silent=[])
    lock = ready.cloud.home("demo-1").parent / "libtpu_lockfile"
    with open(lock, "w"):
        error = ready.fails("launch", "--", "wait_for_end")
    assert re.search(r"slice 1 worker 0: process \d+ uses the TPU; nothing is left running", error)
    assert states(ready)[0][0] != "running"
    # Left by a process that is dead, it is in nobody's way.
    let_end(ready, "demo-0", "0")
    let_end(ready, "demo-1", "0")
    ready("launch", "--", "wait_for_end")
    assert not lock.exists()


@pytest.mark.parametrize(
    "command, said",
    [([], "no command"), ([""], "no command"), (["A=b"], "is no program"), (["x"] * 60_000, "kB")],
)
def test_what_is_no_command(ready, command, said):
    assert said in ready.fails("launch", "--", *command)


def test_before_setup_and_before_create(run):
    assert "run demo has no TPU: tpu_scripts/create" in run.fails("launch", "--", "true")
    run("create", "--yes")
    assert "is not set up: tpu_scripts/setup first" in run.fails("launch", "--", "true")


@pytest.mark.slow
def test_a_program_that_is_not_there_and_odd_names_of_programs(ready):
    for name in ("no_such_program", "-x", "report", "cd"):
        ready("launch", "--", name)
        wait_until(lambda: {state for state, _ in states(ready)} == {"ended"})
        assert states(ready) == [("ended", "127")] * 2, name


def test_fetch_brings_named_files(ready):
    names = ["a b/ö '$x'.txt", "-dash", "plain"]
    for name in names:
        path = ready.cloud.home("demo-0") / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    bucket = ready.cloud.folder / "buckets" / "b" / "runs"
    bucket.mkdir(parents=True, exist_ok=True)
    (bucket / "metrics.jsonl").write_text("{}")
    ready("fetch", "--output", str(ready.folder / "got"), "gs://b/runs", *names[::2], "./-dash")
    for name in names:
        assert (ready.folder / "got" / "files" / name).read_text() == name
    assert (ready.folder / "got" / "gs" / "b" / "runs" / "metrics.jsonl").read_text() == "{}"
    assert "nothing" in ready.fails("fetch", "nothing")


def test_a_worker_cannot_write_outside_of_the_folder(ready, tmp_path):
    evil = tmp_path / "evil.tar"
    with tarfile.open(evil, "w") as archive:
        archive.add(__file__, arcname="../../../../outside")
    programs = ready.cloud.home("demo-0").parent / "bin"
    (programs / "tar").write_text(f"#!/bin/sh\ncat {evil}\n")
    (programs / "tar").chmod(0o755)
    ready("fetch", "--output", str(tmp_path / "got"), code=1)
    assert not list(tmp_path.rglob("outside"))
