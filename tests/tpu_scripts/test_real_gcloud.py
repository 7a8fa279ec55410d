"""Every command that the scripts can run is one that the real gcloud takes, where it is installed.

It parses all words before it finds that nobody is logged in, and goes no further.
"""

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pod import config, queued
from pod.gcloud import Gcloud

from tests.tpu_scripts.fake_gcloud import FLAGS

pytestmark = pytest.mark.slow

TPU = """
capacity = "reserved"
service_account = "a@b.iam.gserviceaccount.com"
scopes = ["https://www.googleapis.com/auth/cloud-platform"]
network = "n"
subnetwork = "s"
tags = ["t", "u"]
internal_ips = true
valid_until = "6h"
"""
SSH = ("internal_ip = true", "tunnel_through_iap = true", 'user = "me"')


def real_gcloud() -> str:
    """The program, not a test's."""
    found = shutil.which("gcloud")
    if found is None or "fake_gcloud" in Path(found).read_text(errors="replace"):
        pytest.skip("gcloud is not installed")
    return found


def refused(command: list[str], folder: Path) -> str:
    """What the real gcloud says to the words; empty where only the login is missing."""
    environment = {
        **os.environ,
        "CLOUDSDK_CONFIG": str(folder),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
    }
    done = subprocess.run(
        [real_gcloud(), *command[1:]], env=environment, capture_output=True, text=True, timeout=120
    )
    return "" if done.returncode == 1 and "active account" in done.stderr else done.stderr


def test_it_takes_every_command(run, tmp_path):
    commands = []
    for number, line in enumerate((None, *SSH)):
        run.configure(tpu=TPU if number % 2 else "", tables=f"[ssh]\n{line}\n" if line else "")
        for script in ("create", "setup", "status", "logs", "delete"):
            commands += run(script, "--dry_run").stdout.splitlines()
        commands += run("launch", "--dry_run", "--", "a b", "'\n$x").stdout.splitlines()
        run.configure(tpu=TPU if number % 2 else "", top='fetch = ["x", "gs://b/y"]')
        commands += run("fetch", "--dry_run").stdout.splitlines()
    single = run.config.read_text().replace("slices = 2", "slices = 1")
    run.config.write_text(single + "[env]\nA = 'x'\n")
    commands += run("create", "--dry_run").stdout.splitlines()
    commands += run("launch", "--dry_run", "--", "x").stdout.splitlines()
    gcloud = Gcloud(config.load(run.config), dry_run=True)
    commands.append(json.dumps(gcloud.words(*queued.VM, "delete", "node")))
    # One of each shape: the same flags, whatever their values.
    shapes = {}
    for words in map(json.loads, commands):
        if words[0] == "gcloud":
            names = [word.partition("=")[0] for word in words if word.startswith("--")]
            shapes[tuple(words[1:6]), tuple(names)] = words
    assert len(shapes) >= 15
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda words: refused(words, tmp_path), shapes.values()))
    assert [(words, text) for words, text in zip(shapes.values(), said, strict=True) if text] == []
    assert "unrecognized arguments" in refused(
        ["gcloud", *queued.QUEUED, "list", "--zoen=x"], tmp_path
    )


def test_the_tests_gcloud_takes_no_flag_that_the_real_one_refuses(tmp_path):
    environment = {**os.environ, "CLOUDSDK_CONFIG": str(tmp_path)}
    for command, (valued, plain) in FLAGS.items():
        done = subprocess.run(
            [real_gcloud(), *command.split(), "--help"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        missing = [flag for flag in valued | plain if flag not in done.stdout]
        assert missing == [], command
