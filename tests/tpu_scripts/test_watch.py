"""watch: from nothing to the end, through preemptions, failures, and its own death."""

import json
import shutil
import signal
import subprocess
import time

import pytest
from pod import config
from pod.errors import ScriptError
from pod.gcloud import Gcloud
from pod.queued import Request
from pod.watch import Watcher

from tests.tpu_scripts.test_launch import let_end, wait_until

STATE = "run.toml.state"


@pytest.fixture
def watching(run):
    """`watching(command …)` is a watch at work; none is left behind."""
    processes = []

    def start(*command: str) -> subprocess.Popen:
        words = ["--", *command] if command else []
        processes.append(run.process("watch", *words, stderr=subprocess.PIPE))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


def running(run, requests: int = 1) -> bool:
    """Both workers are at work, on TPUs that were the so manieth to be asked for."""
    # Machines are fresh once their request is active.
    if created(run) != requests or run.cloud.requests() != {"demo": "ACTIVE"}:
        return False
    logs = [run.cloud.home(node) / "biobert_tpu/runs/demo/log" for node in ("demo-0", "demo-1")]
    return all(log.exists() and "waiting" in log.read_text() for log in logs)


def end(run, code: str) -> None:
    """Lets the command end."""
    for node in run.cloud.nodes():
        let_end(run, node, code)


def created(run) -> int:
    """How many requests have been made."""
    return sum("create" in words for words in run.cloud.calls())


def memory(run) -> dict:
    """What it remembers."""
    return json.loads((run.folder / STATE / "watch.json").read_text())


@pytest.mark.slow
def test_from_nothing_through_a_preemption_and_its_own_death_to_the_end(run, watching):
    watch = watching("wait_for_end")
    wait_until(lambda: running(run))
    run.cloud.preempt("demo")
    wait_until(lambda: running(run, 2))
    # A watch that is killed has left everything standing; another one goes on with it.
    watch.kill()
    watch.communicate()
    assert memory(run)["starts"] == 2
    watch = watching()
    assert watch.stderr.readline().endswith("watch: running: demo\n")
    second = watching()
    assert second.wait(20) == 1 and "a watch of this run is at work" in second.stderr.read()
    assert "a watch of this run is at work" in run.fails("delete")
    end(run, "0")
    assert watch.wait(30) == 0, watch.stderr.read()
    assert created(run) == 2 and run.cloud.requests() == {} and run.cloud.nodes() == []
    logs = run.folder / STATE / "fetched" / "logs"
    assert "exit code 0" in (logs / "slice1_worker0.log").read_text()
    # The end is remembered: nothing is made anew.
    assert watching().wait(20) == 0 and created(run) == 2
    run("delete")
    again = watching()
    assert again.wait(20) == 1 and "give it behind --" in again.stderr.read()


@pytest.mark.slow
def test_a_run_that_fails_by_itself(run, watching):
    run.configure(watch='same_code = 2\nwhen_done = "keep"')
    watch = watching("sh", "-c", "echo waiting; exit 3")
    assert watch.wait(60) == 3
    said = watch.stderr.read()
    assert "ended with 3" in said and f"tpu_scripts/delete --config {run.config}" in said
    assert created(run) == 1 and run.cloud.requests() == {"demo": "ACTIVE"}
    log = run.cloud.home("demo-0") / "biobert_tpu/runs/demo/log"
    assert log.read_text().count("waiting") == 2
    assert memory(run)["same_code"] == 2
    # Another command is another run.
    other = watching("true")
    assert other.wait(20) == 1 and "launched with another command" in other.stderr.read()


@pytest.mark.slow
def test_one_worker_that_fails_ends_the_others(run, watching):
    run.configure(watch="same_code = 1")
    script = 'if [ "$TPU_SCRIPTS_SLICE" = 1 ]; then exit 9; fi; sleep 600'
    watch = watching("sh", "-c", script)
    assert watch.wait(60) == 9
    log = run.folder / STATE / "fetched/logs/slice0_worker0.exit_code"
    assert log.read_text() == "143\n"


@pytest.mark.slow
@pytest.mark.parametrize("what", ["node gone", "node preempted", "silent", "suspended late"])
def test_what_is_lost_is_replaced(run, watching, what):
    watch = watching("wait_for_end")
    wait_until(lambda: running(run))
    if what == "node gone":
        run.cloud.forget_node("demo-1")
    elif what == "node preempted":
        with run.cloud.state() as state:
            state["nodes"]["demo-1"]["state"] = "PREEMPTED"
    elif what == "silent":
        run.cloud.set(silent=["demo-0/0", "demo-1/0"])
        wait_until(lambda: created(run) == 2)
        run.cloud.set(silent=[])
    else:
        run.cloud.preempt("demo")
        with run.cloud.state() as state:
            # It stays listed, with its nodes, until it is deleted.
            state["requests"]["demo"]["plan"] = ["SUSPENDING"] * 5 + ["SUSPENDED"]
    wait_until(lambda: running(run, 2))
    end(run, "0")
    assert watch.wait(30) == 0, watch.stderr.read()
    assert run.cloud.requests() == {}


@pytest.mark.slow
def test_the_budget_ends_it_and_nothing_is_left(run, watching):
    run.configure(watch="tries = 3")
    run.cloud.set(plans=[["ACCEPTED", "FAILED"], ["ACCEPTED", "PROVISIONING", "SUSPENDED"]] * 3)
    watch = watching("wait_for_end")
    assert watch.wait(60) == 1
    error = watch.stderr.read().splitlines()[-1]
    assert error.startswith("error: watch: ") and "the budget is spent: 3 starts of 3" in error
    assert created(run) == 3 and run.cloud.requests() == {}


def test_hours_are_counted_over_its_own_death(run, watching):
    run.configure(watch="hours = 1")
    state = run.folder / STATE
    state.mkdir()
    (state / "watch.json").write_text(json.dumps({"began": time.time() - 4000}))
    watch = watching("true")
    assert watch.wait(20) == 1 and "1.1 hours of 1" in watch.stderr.read()
    assert created(run) == 0


@pytest.mark.slow
def test_a_cloud_that_fails_at_random(run, watching):
    run.cloud.set(noise=25, seed=3, plans=[["ACCEPTED", "FAILED"]])
    watch = watching("wait_for_end")
    wait_until(lambda: running(run, 2), 60)
    run.cloud.preempt("demo")
    wait_until(lambda: running(run, 3), 60)
    end(run, "0")
    assert watch.wait(60) == 0, watch.stderr.read()


@pytest.mark.slow
def test_stopped_by_hand_it_says_what_costs_money(run, watching):
    watch = watching("wait_for_end")
    wait_until(lambda: running(run))
    watch.send_signal(signal.SIGTERM)
    said = watch.communicate(timeout=20)[1]
    assert watch.returncode == 143 and "ends it" in said.splitlines()[-1]
    assert run.cloud.requests() == {"demo": "ACTIVE"}


def test_a_dry_run_shows_one_start(run):
    lines = run("watch", "--dry_run", "--", "biobert", "pretrain").stdout.splitlines()
    words = [json.loads(line) for line in lines]
    verbs = [word[4] if word[0] == "gcloud" else "git" for word in words]
    order = ["list", "delete", "list", "list", "create", "describe", "ssh", "ssh", "git", "ssh"]
    assert verbs == [*order, "ssh", "scp", "scp", "ssh", "ssh", "ssh", "ssh", "ssh", "ssh"]
    assert run.cloud.calls() == [] and not (run.folder / STATE).exists()


@pytest.mark.slow
def test_a_run_that_was_launched_from_another_machine(run, watching):
    run("create", "--yes")
    run("setup")
    run("launch", "--", "wait_for_end")
    shutil.rmtree(run.folder / STATE)
    watch = watching("wait_for_end")
    assert watch.stderr.readline().endswith("watch: running: demo\n")
    end(run, "0")
    assert watch.wait(30) == 0
    assert watching().wait(20) == 0 and created(run) == 1


@pytest.mark.parametrize("failures", [2, 3])
def test_a_tpu_is_given_up_only_after_several_tries(run, monkeypatch, failures):
    outcomes = [ScriptError("a worker does not answer")] * failures + [None] * 3
    deleted = []

    def setup_once(*_):
        if error := outcomes.pop(0):
            raise error

    monkeypatch.setattr("pod.setup.setup", setup_once)
    monkeypatch.setattr("pod.launch.launch", lambda *_: "launched")
    monkeypatch.setattr("pod.queued.delete_request", lambda _, name: deleted.append(name))
    watcher = Watcher(Gcloud(config.load(run.config), False, pause=lambda _: None), ["true"])
    watcher.attempt(watcher.launch, Request("demo", "ACTIVE", ("demo",)))
    assert deleted == (["demo"] if failures == 3 else [])
    assert (watcher.launch_id == "launched") == (failures == 2)
