"""create, status and delete: states, deadlines, and what is left behind."""

import json
import signal
import subprocess
import sys
import time

import pytest


def test_from_nothing_to_nothing(run):
    created = run("create", "--yes").stderr
    assert "2 slices of v5litepod-8 in us-east5-a, spot: 16 chips of v5e in 2 hosts" in created
    assert "24.00 USD an hour (576.00 a day) at 1.5 a chip hour" in created
    assert run.cloud.requests() == {"demo": "ACTIVE"}
    assert run.cloud.nodes() == ["demo-0", "demo-1"]
    shown = json.loads(run("status", "--json").stdout)
    assert shown["ok"] and [row["state"] for row in shown["workers"]] == ["none", "none"]
    assert "nothing is left" in run("delete").stderr
    assert run.cloud.requests() == {} and run.cloud.nodes() == []
    assert "nothing is left" in run("delete").stderr


def test_one_slice_is_one_node_and_all_options_arrive(run):
    run.configure()
    text = run.config.read_text().replace("slices = 2", "slices = 1").replace("v5e-8", "v6e-4")
    options = (
        'capacity = "reserved"\nservice_account = "a@b.iam.gserviceaccount.com"\n'
        'scopes = ["s1", "s2"]\nnetwork = "n"\nsubnetwork = "sn"\ntags = ["t"]\n'
        'internal_ips = true\nvalid_until = "6h"\nruntime_version = "image"\n'
    )
    run.config.write_text(text.replace("[deadlines]", options + "[deadlines]"))
    run("create", "--yes")
    [words] = [words for words in run.cloud.calls() if "create" in words]
    assert words == (
        ["compute", "tpus", "queued-resources", "create", "demo", "--accelerator-type=v6e-4"]
        + ["--runtime-version=image", "--node-id=demo", "--reserved", "--labels=biobert-run=demo"]
        + ["--service-account=a@b.iam.gserviceaccount.com", "--scopes=s1,s2", "--network=n"]
        + ["--subnetwork=sn", "--tags=t", "--valid-until-duration=6h", "--internal-ips"]
        + ["--zone=us-east5-a", "--project=my-project", "--quiet"]
    )


def test_it_asks_before_it_asks_for_money(run):
    assert "nothing was asked for" in run("create", stdin="n\n", code=1).stderr
    assert run.cloud.calls() == []
    run("create", stdin="y\n")
    assert run.cloud.requests() == {"demo": "ACTIVE"}
    assert "run demo has request demo (ACTIVE)" in run.fails("create", "--yes")


@pytest.mark.parametrize(
    "plan, said",
    [
        (["ACCEPTED", "FAILED"], "is FAILED: no capacity within the valid interval"),
        (["ACCEPTED", "PROVISIONING", "SUSPENDED"], "is SUSPENDED"),
        (["WAITING_FOR_RESOURCES"], "is WAITING_FOR_RESOURCES for 0.005 minutes: deadlines.assi"),
        (["ACCEPTED", "PROVISIONING"], "is PROVISIONING for 0.006 minutes: deadlines.provisioning"),
    ],
)
def test_what_does_not_come_is_deleted(run, plan, said):
    text = run.config.read_text()
    text = text.replace("assignment = 1", "assignment = 0.005")
    run.config.write_text(text.replace("provisioning = 1", "provisioning = 0.006"))
    run.cloud.set(plans=[plan])
    error = run.fails("create", "--yes")
    assert said in error and error.endswith("it is deleted")
    assert run.cloud.requests() == {}


def test_workers_that_never_answer(run):
    run.config.write_text(run.config.read_text().replace("ready = 0.5", "ready = 0.01"))
    run.cloud.set(silent=["demo-1/0"])
    assert "workers did not answer in 0.01 minutes: deadlines.ready" in run.fails("create", "--yes")
    assert run.cloud.requests() == {} and run.cloud.nodes() == []


@pytest.mark.slow
def test_the_cloud_may_fail_to_answer(run):
    run.cloud.set(noise=30, seed=5)
    run("create", "--yes")
    run("delete")


@pytest.mark.parametrize(
    "said, remedy",
    [
        ("You do not currently have an active account selected.", "not logged in: gcloud auth lo"),
        (
            "RESOURCE_EXHAUSTED: Quota limit 'TPUV5sLitepodPerProjectPerZone' has been exceeded.",
            "no quota for v5litepod-8 as spot in us-east5-a",
        ),
        (
            "INVALID_ARGUMENT: Cloud TPU received a bad request. Accelerator type v5litepod-8 is "
            "not supported in this zone",
            "us-east5-a has no v5litepod-8: gcloud compute tpus accelerator-types list",
        ),
        (
            "PERMISSION_DENIED: Location us-east5-a is not found or access is unauthorized.",
            "us-east5-a has no TPUs: gcloud compute tpus locations list",
        ),
        ("PERMISSION_DENIED: Permission 'tpu.nodes.create' denied on resource.", "a role is miss"),
        ("PERMISSION_DENIED: Cloud TPU API has not been used in project 1.", "the API is off"),
        ("INTERNAL: something new.", "gcloud queued-resources create: INTERNAL: something new."),
    ],
)
def test_a_refusal_is_one_line(run, said, remedy):
    run.cloud.set(faults={"create": [said, 1]})
    error = run.fails("create", "--yes")
    assert remedy in error and said in error
    assert run.cloud.requests() == {}


def test_gcloud_is_not_there(run, tmp_path):
    only = tmp_path / "only"
    only.mkdir()
    (only / "python3").symlink_to(sys.executable)
    run.variables["PATH"] = str(only)
    assert "gcloud is not on PATH" in run.fails("status")


def test_ctrl_c_says_what_still_costs_money(run):
    run.cloud.set(plans=[["WAITING_FOR_RESOURCES"]])
    process = run.process("create", "--yes", stderr=subprocess.PIPE)
    while run.cloud.requests() != {"demo": "WAITING_FOR_RESOURCES"}:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=20)[1]
    assert process.returncode == 130 and "Traceback" not in stderr
    assert f"tpu_scripts/delete --config {run.config} ends it" in stderr.splitlines()[-1]


def test_delete_finds_what_was_left_behind(run):
    run("create", "--yes")
    with run.cloud.state() as state:
        # Dead requests of this run and of another, and a node whose request is gone.
        for name, label in (("demo-7", "demo"), ("other", "other")):
            leaked = json.loads(json.dumps(state["requests"]["demo"]))
            leaked |= {"name": leaked["name"].replace("/demo", f"/{name}"), "plan": []}
            leaked["state"] = {"state": "FAILED"}
            leaked["tpu"]["nodeSpec"][0]["node"]["labels"] = {"biobert-run": label}
            state["requests"][name] = leaked
        state["nodes"]["stray"] = state["nodes"]["demo-0"] | {"queuedResource": "gone"}
    assert "\nrequest demo-7: FAILED\n" in run("status", code=1).stdout
    run("delete")
    assert run.cloud.requests() == {"other": "FAILED"} and run.cloud.nodes() == []


@pytest.mark.slow
def test_a_request_that_will_not_go_is_named_and_its_name_not_needed(run):
    run("create", "--yes")
    run.cloud.set(stuck=["demo"])
    assert "request demo is still being deleted: it may still cost money" in run.fails("delete")
    run("create", "--yes")
    assert run.cloud.requests() == {"demo": "DELETING", "demo-2": "ACTIVE"}


def test_a_dry_run_runs_nothing(run):
    lines = run("create", "--dry_run").stdout.splitlines()
    lines += run("status", "--dry_run").stdout.splitlines()
    lines += run("delete", "--dry_run").stdout.splitlines()
    commands = [json.loads(line) for line in lines]
    assert {words[0] for words in commands} == {"gcloud"}
    assert ["create", "delete"] == [w[4] for w in commands if w[4] in ("create", "delete")]
    assert run.cloud.calls() == []
