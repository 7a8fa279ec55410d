"""A gcloud for tests: queued resources that go through the real states, workers that are processes.

    FAKE_GCLOUD=FOLDER python fake_gcloud.py compute tpus queued-resources create …

Takes flags that gcloud 528 takes and no others, prints its JSON and its words of error. A request
moves on by one state each time somebody looks. A worker is a folder that serves as its HOME; ssh
runs the command in a real shell there, scp copies into it. Everything is in FOLDER: `Cloud` is the
tests' hand in it.
"""

import fcntl
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

SERVED = ["ACCEPTED", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]
# Flags that take a value, and those that take none, of each command.
WIDE = ({"--project", "--format", "--verbosity", "--account"}, {"--quiet", "--log-http"})
ZONE = {"--zone"}
REMOTE = (
    {"--worker", "--ssh-key-file", "--strict-host-key-checking"},
    {"--internal-ip", "--plain"},
)
FLAGS = {
    "compute tpus queued-resources create": (
        ZONE
        | {"--accelerator-type", "--runtime-version", "--node-id", "--node-count", "--node-prefix"}
        | {"--labels", "--metadata", "--metadata-from-file", "--network", "--subnetwork", "--tags"}
        | {"--service-account", "--scopes", "--valid-until-duration", "--valid-after-duration"}
        | {"--topology", "--type", "--data-disk", "--description", "--range"},
        {"--spot", "--reserved", "--guaranteed", "--internal-ips", "--async"},
    ),
    "compute tpus queued-resources describe": (ZONE, set()),
    "compute tpus queued-resources list": (ZONE | {"--filter", "--limit"}, set()),
    "compute tpus queued-resources delete": (ZONE, {"--force", "--async"}),
    "compute tpus tpu-vm describe": (ZONE, set()),
    "compute tpus tpu-vm list": (ZONE | {"--filter", "--limit"}, set()),
    "compute tpus tpu-vm delete": (ZONE, {"--async"}),
    "compute tpus tpu-vm ssh": (
        ZONE | REMOTE[0] | {"--command", "--output-directory", "--ssh-flag"},
        REMOTE[1],
    ),
    "compute tpus tpu-vm scp": (ZONE | REMOTE[0] | {"--scp-flag"}, REMOTE[1] | {"--recurse"}),
    "storage cp": (set(), {"--recursive", "-r"}),
}
ALPHA = {"--tunnel-through-iap"}
REPEATED = {"--ssh-flag", "--scp-flag"}


class Refused(Exception):
    """gcloud's error: its text, and its exit code."""

    def __init__(self, text: str, code: int = 1):
        super().__init__(text)
        self.code = code


class Cloud:
    """The folder: what the cloud holds, what tests set, what was called."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def start(self, **settings) -> "Cloud":
        """An empty cloud, and a gcloud to put on PATH."""
        (self.folder / "bin").mkdir(parents=True)
        program = self.folder / "bin" / "gcloud"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{__file__}" "$@"\n')
        program.chmod(0o755)
        self._write({"requests": {}, "nodes": {}, "settings": settings})
        return self

    def environment(self) -> dict[str, str]:
        """Variables for a script that is to find this gcloud."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return {"PATH": path, "FAKE_GCLOUD": str(self.folder)}

    def set(self, **settings) -> None:
        """Sets what is to happen.

        Args:
          plans: the states that the next requests go through.
          faults: {words of a call: [text, times]}.
          silent: workers that do not answer, NODE/N.
          noise, seed: how many looks of a hundred fail, and by which chance.
          grace: seconds between SIGTERM and SIGKILL of a preemption.
          stuck: requests that stay in deletion.
          hosts, bin: how many a node has, and a folder of programs on them.
        """
        with self.state() as state:
            state["settings"] |= settings

    def calls(self) -> list[list[str]]:
        """All words of all calls so far."""
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def requests(self) -> dict[str, str]:
        """The state of each request."""
        with self.state() as state:
            return {name: entry["state"]["state"] for name, entry in state["requests"].items()}

    def nodes(self) -> list[str]:
        """The nodes that are listed."""
        with self.state() as state:
            return sorted(state["nodes"])

    def home(self, node: str, worker: int = 0) -> Path:
        """A worker's HOME."""
        return self.folder / "workers" / node / str(worker) / "home"

    def preempt(self, name: str) -> None:
        """Takes the TPUs of a request away, as Google does."""
        with self.state() as state:
            state["requests"][name]["state"] = {"state": "SUSPENDING", "stateInitiator": "SERVICE"}
            state["requests"][name]["plan"] = ["SUSPENDED"]
            nodes = [n for n, node in state["nodes"].items() if node["queuedResource"] == name]
            for node in nodes:
                state["nodes"][node]["state"] = "PREEMPTED"
            grace = state["settings"].get("grace", 0)
        for node in nodes:
            end_processes(self.folder / "workers" / node, grace)

    def forget_node(self, node: str) -> None:
        """A node that is gone while its request says nothing."""
        with self.state() as state:
            del state["nodes"][node]
        end_processes(self.folder / "workers" / node, 0)

    @contextmanager
    def state(self):
        """The state, to be changed by one at a time."""
        with open(self.folder / "lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = json.loads((self.folder / "state.json").read_text())
            yield state
            self._write(state)

    def _write(self, state: dict) -> None:
        (self.folder / "state.json").write_text(json.dumps(state))


def main(argv: list[str]) -> int:
    """One call."""
    cloud = Cloud(Path(os.environ["FAKE_GCLOUD"]))
    with open(cloud.folder / "calls", "a") as calls:
        calls.write(json.dumps(argv) + "\n")
    track = "alpha" if argv[:1] == ["alpha"] else ""
    argv = argv[1:] if track else argv
    command = next((name for name in FLAGS if argv[: len(name.split())] == name.split()), None)
    try:
        if command is None:
            raise Refused(f"Invalid choice: {argv[:4]}", 2)
        positional, flags = parse(argv[len(command.split()) :], *FLAGS[command], track)
        with cloud.state() as state:
            error = fault(state, command)
        if error:
            raise Refused(error)
        return COMMANDS[command](cloud, positional, flags)
    except Refused as error:
        name = f"{track + '.' if track else ''}{(command or 'gcloud').replace(' ', '.')}"
        print(f"ERROR: (gcloud.{name}) {error}", file=sys.stderr)
        return error.code


def parse(words, valued, plain, track) -> tuple[list[str], dict]:
    """Positional words and flags; no flag is guessed."""
    positional, flags = [], {}
    valued, plain = valued | WIDE[0], plain | WIDE[1] | (ALPHA if track else set())
    words = list(words)
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            positional.append(word)
            continue
        name, equals, value = word.partition("=")
        if name in plain and not equals:
            flags[name] = True
        elif name in valued:
            if not equals and not words:
                raise Refused(f"argument {name}: expected one argument", 2)
            value = value if equals else words.pop(0)
            flags[name] = [*flags.get(name, []), value] if name in REPEATED else value
        else:
            raise Refused(f"unrecognized arguments: {word}", 2)
    if "--quiet" not in flags:
        raise Refused(
            "This prompt could not be answered because you are not in an interactive session"
        )
    return positional, flags


def fault(state: dict, command: str) -> str | None:
    """What the test has planned for this call to fail with, or chance."""
    settings = state["settings"]
    for words, planned in settings.get("faults", {}).items():
        if words in command and planned[1] > 0:
            planned[1] -= 1
            return planned[0]
    if command.endswith(("list", "describe")):
        rng = random.Random(settings.get("seed", 0) + state.setdefault("looks", 0))
        state["looks"] += 1
        if rng.random() * 100 < settings.get("noise", 0):
            return "UNAVAILABLE: The service is currently unavailable. (503)"
    return None


def create(cloud: Cloud, positional, flags) -> int:
    """A request, queued."""
    [name] = positional
    for needed in ("--zone", "--project", "--accelerator-type", "--runtime-version"):
        if needed not in flags:
            raise Refused(f"argument {needed}: Must be specified.", 2)
    if ("--node-id" in flags) == ("--node-count" in flags):
        raise Refused(
            "Exactly one of (--node-id | --node-count : --node-prefix) must be specified.", 2
        )
    if int(flags.get("--node-count", 2)) <= 1:
        raise Refused("Invalid value for [--node-count]: Node count must be greater than 1")
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name):
        raise Refused(f"INVALID_ARGUMENT: queued_resource_id {name!r} is invalid")
    labels = dict(pair.split("=", 1) for pair in flags.get("--labels", "").split(",") if pair)
    where = f"projects/{flags['--project']}/locations/{flags['--zone']}"
    node = {
        "acceleratorType": flags["--accelerator-type"],
        "runtimeVersion": flags["--runtime-version"],
        "labels": labels,
        "networkConfig": {"enableExternalIps": "--internal-ips" not in flags},
        "serviceAccount": {"email": flags.get("--service-account", "")},
    }
    spec = {"parent": where, "node": node}
    if "--node-id" in flags:
        spec["nodeId"] = flags["--node-id"]
    else:
        spec["multisliceParams"] = {"nodeCount": int(flags["--node-count"])}
        if "--node-prefix" in flags:
            spec["multisliceParams"]["nodeIdPrefix"] = flags["--node-prefix"]
    with cloud.state() as state:
        if name in state["requests"]:
            raise Refused(f"ALREADY_EXISTS: Resource '{where}/{name}' already exists")
        plans = state["settings"].get("plans", [])
        state["requests"][name] = {
            "name": f"{where}/queuedResources/{name}",
            "createTime": f"2026-01-01T00:00:00.{state.setdefault('created', 0):09d}Z",
            "state": {"state": "CREATING"},
            "tpu": {"nodeSpec": [spec]},
            "plan": plans.pop(0) if plans else list(SERVED),
        } | ({"spot": {}} if "--spot" in flags else {})
        state["created"] += 1
    return 0


def describe(cloud: Cloud, positional, flags) -> int:
    """One request, moved on."""
    with cloud.state() as state:
        move_on(cloud, state)
        print_json(found(state, positional[0], flags), flags)
    return 0


def list_requests(cloud: Cloud, positional, flags) -> int:
    """All of them, moved on."""
    with cloud.state() as state:
        move_on(cloud, state)
        entries = [found(state, name, flags) for name in state["requests"]]
        print_json(entries, flags)
    return 0


def delete(cloud: Cloud, positional, flags) -> int:
    """A request; with its nodes where it is forced."""
    [name] = positional
    with cloud.state() as state:
        found(state, name, flags)
        request = state["requests"][name]
        nodes = [node for node, entry in state["nodes"].items() if entry["queuedResource"] == name]
        if request["state"]["state"] == "SUSPENDING":
            raise Refused("FAILED_PRECONDITION: the queued resource is being suspended")
        if nodes and "--force" not in flags:
            raise Refused("FAILED_PRECONDITION: the queued resource has nodes; use force")
        stuck = name in state["settings"].get("stuck", [])
        for node in nodes:
            del state["nodes"][node]
        if stuck:
            request["state"], request["plan"] = {"state": "DELETING"}, []
        else:
            del state["requests"][name]
    for node in nodes:
        end_processes(cloud.folder / "workers" / node, 0)
    return 0


def list_nodes(cloud: Cloud, positional, flags) -> int:
    """All nodes, those too that are dead."""
    with cloud.state() as state:
        print_json([shown_node(name, node, flags) for name, node in state["nodes"].items()], flags)
    return 0


def describe_node(cloud: Cloud, positional, flags) -> int:
    """One node."""
    with cloud.state() as state:
        print_json(shown_node(positional[0], node_of(state, positional[0]), flags), flags)
    return 0


def delete_node(cloud: Cloud, positional, flags) -> int:
    """A node alone."""
    with cloud.state() as state:
        node_of(state, positional[0])
        del state["nodes"][positional[0]]
    end_processes(cloud.folder / "workers" / positional[0], 0)
    return 0


def ssh(cloud: Cloud, positional, flags) -> int:
    """The command on the workers at once, each in its HOME; 255 is tried again, as gcloud does."""
    node, homes = reached(cloud, positional[0], flags)
    processes = {index: run_there(cloud, node, index, flags["--command"]) for index in homes}
    statuses = {index: process.wait() for index, process in processes.items()}
    for index, status in statuses.items():
        for _ in range(2):
            if status == 255:
                print("Retrying: SSH command error", file=sys.stderr)
                status = run_there(cloud, node, index, flags["--command"]).wait()
        if status:
            text = f"##### Command execution on worker {index} failed with exit status {status}."
            print(text, file=sys.stderr)
            statuses[index] = status
    if set(statuses.values()) == {255}:
        raise Refused("[/usr/bin/ssh] exited with return code [255].", 255)
    return next((status for status in statuses.values() if status), 0)


def scp(cloud: Cloud, positional, flags) -> int:
    """From here to workers, below their homes."""
    *sources, target = positional
    if any(":" in source for source in sources):
        raise Refused("All sources must be local files when destination is remote.")
    node, colon, path = target.partition(":")
    if not colon:
        raise Refused("Source(s) must be remote when destination is local.")
    node, homes = reached(cloud, node, flags)
    with cloud.state() as state:
        silent = state["settings"].get("silent", [])
    for index, home in homes.items():
        if f"{node}/{index}" in silent:
            raise Refused("[/usr/bin/scp] exited with return code [255].", 255)
        for source in sources:
            there = home / path if path else home / Path(source).name
            there.unlink(missing_ok=True)
            shutil.copyfile(source, there)
            there.chmod(os.stat(source).st_mode & 0o755)
            with open(cloud.folder / "sent", "a") as sent:
                sent.write(f"{Path(source).name} {there.stat().st_mode & 0o777:o}\n")
    return 0


def storage_cp(cloud: Cloud, positional, flags) -> int:
    """From a bucket, which is a folder here."""
    url, target = positional
    source = cloud.folder / "buckets" / url.removeprefix("gs://").rstrip("/")
    if source.is_dir():
        shutil.copytree(source, Path(target) / source.name, dirs_exist_ok=True)
    elif source.exists():
        shutil.copy(source, target)
    else:
        raise Refused(f"The following URLs matched no objects or files:\n{url}")
    return 0


COMMANDS = {
    "compute tpus queued-resources create": create,
    "compute tpus queued-resources describe": describe,
    "compute tpus queued-resources list": list_requests,
    "compute tpus queued-resources delete": delete,
    "compute tpus tpu-vm describe": describe_node,
    "compute tpus tpu-vm list": list_nodes,
    "compute tpus tpu-vm delete": delete_node,
    "compute tpus tpu-vm ssh": ssh,
    "compute tpus tpu-vm scp": scp,
    "storage cp": storage_cp,
}


def move_on(cloud: Cloud, state: dict) -> None:
    """Every request by one state of its plan; nodes come and go with the states."""
    for name, request in list(state["requests"].items()):
        if not request["plan"]:
            continue
        now = request["plan"].pop(0)
        request["state"] = {"state": now}
        if now == "FAILED":
            message = "no capacity within the valid interval"
            request["state"]["failedData"] = {"error": {"code": 8, "message": message}}
        if now == "ACTIVE":
            for node in node_names(name, request):
                state["nodes"][node] = make_node(cloud, state, name, request, node)
        if now == "SUSPENDED":
            nodes = state["nodes"]
            state["nodes"] = {n: v for n, v in nodes.items() if v["queuedResource"] != name}


def make_node(cloud: Cloud, state: dict, name: str, request: dict, node: str) -> dict:
    """A fresh machine a host, with nothing in its home."""
    spec = request["tpu"]["nodeSpec"][0]["node"]
    hosts = state["settings"].get("hosts", 2)
    folder = cloud.folder / "workers" / node
    end_processes(folder, 0)
    shutil.rmtree(folder, ignore_errors=True)
    for index in range(hosts):
        home = folder / str(index) / "home"
        home.mkdir(parents=True)
        programs = folder / str(index) / "bin"
        if "bin" in state["settings"]:
            shutil.copytree(state["settings"]["bin"], programs)
        programs.mkdir(exist_ok=True)
        # The metadata server, as far as the scripts ask it.
        answer = f'case "$*" in *agent-worker-number) echo {index} ;; *) exit 22 ;; esac\n'
        (programs / "curl").write_text("#!/bin/sh\n" + answer)
        (programs / "curl").chmod(0o755)
    endpoints = [{"ipAddress": f"10.0.0.{i + 2}", "port": 8470} for i in range(hosts)]
    return spec | {
        "state": "READY",
        "health": "HEALTHY",
        "queuedResource": name,
        "networkEndpoints": endpoints,
    }


def node_names(name: str, request: dict) -> list[str]:
    """Of a request, by its specification."""
    [spec] = request["tpu"]["nodeSpec"]
    several = spec.get("multisliceParams")
    if several is None:
        return [spec["nodeId"]]
    return [f"{several.get('nodeIdPrefix', name)}-{i}" for i in range(several["nodeCount"])]


def found(state: dict, name: str, flags) -> dict:
    """A request as the API shows it."""
    if name not in state["requests"]:
        where = f"projects/{flags['--project']}/locations/{flags['--zone']}/queuedResources/{name}"
        raise Refused(f"NOT_FOUND: Resource '{where}' was not found")
    return {key: value for key, value in state["requests"][name].items() if key != "plan"}


def node_of(state: dict, name: str) -> dict:
    """A node by its name."""
    if name not in state["nodes"]:
        raise Refused(f"NOT_FOUND: Resource 'nodes/{name}' was not found")
    return state["nodes"][name]


def shown_node(name: str, node: dict, flags) -> dict:
    """A node as the API shows it."""
    where = f"projects/{flags['--project']}/locations/{flags['--zone']}"
    queued = f"{where}/queuedResources/{node['queuedResource']}"
    return node | {"name": f"{where}/nodes/{name}", "queuedResource": queued}


def reached(cloud: Cloud, target: str, flags) -> tuple[str, dict[int, Path]]:
    """A node's name without the user's, and the homes of the workers that are meant."""
    name = target.rpartition("@")[2]
    with cloud.state() as state:
        node = node_of(state, name)
        if node["state"] != "READY":
            raise Refused(f'This TPU has state "{node["state"]}" and cannot be reached')
        hosts = len(node["networkEndpoints"])
    which = flags.get("--worker", "0")
    indexes = range(hosts) if which == "all" else [int(word) for word in which.split(",")]
    return name, {index: cloud.home(name, index) for index in indexes}


def run_there(cloud: Cloud, node: str, index: int, command: str) -> subprocess.Popen:
    """A process as sshd starts it: the user's shell, a bare environment."""
    with cloud.state() as state:
        silent = f"{node}/{index}" in state["settings"].get("silent", [])
    if silent:
        return subprocess.Popen(["/bin/sh", "-c", "exit 255"])
    home = cloud.home(node, index)
    environment = {
        "HOME": str(home),
        "USER": "tester",
        "LANG": "C.UTF-8",
        "PATH": f"{home.parent / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "FAKE_WORKER": str(home.parent),
        "TPU_SCRIPTS_LIBTPU_LOCK": str(home.parent / "libtpu_lockfile"),
    }
    # gcloud splits the command at blanks, and ssh joins the words again.
    joined = " ".join(command.split(" "))
    return subprocess.Popen(["/bin/bash", "-c", joined], cwd=home, env=environment)


def end_processes(folder: Path, grace: float) -> None:
    """What runs on a node, by the variable that all of it has inherited."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        if not grace and number == signal.SIGTERM:
            continue
        deadline = time.monotonic() + seconds
        pids = processes_of(folder)
        while pids:
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            if time.monotonic() > deadline:
                break
            time.sleep(0.1 if number == signal.SIGKILL else min(0.5, grace))
            pids = processes_of(folder)
            number = 0 if number == signal.SIGTERM else number


def processes_of(folder: Path) -> list[int]:
    """The processes of a node's workers."""
    mark = f"FAKE_WORKER={folder}/".encode()
    pids = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes():
                pids.append(int(path.parent.name))
        except OSError:
            continue
    return [pid for pid in pids if pid != os.getpid()]


def print_json(value, flags) -> None:
    """As --format=json does."""
    if flags.get("--format") != "json":
        raise Refused("the tests read JSON alone")
    print(json.dumps(value, indent=2))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
