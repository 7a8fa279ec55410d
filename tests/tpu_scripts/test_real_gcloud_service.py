"""The scripts through the real gcloud, where it is installed, with a server of this test behind it.

Parsing, polling, JSON, splitting of commands and calls of ssh and scp are gcloud's own; only the
answers of the service are made here, and ssh and scp are programs that go to a folder.
"""

import json
import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.tpu_scripts.conftest import PROGRAMS, Run
from tests.tpu_scripts.fake_gcloud import Cloud, end_processes
from tests.tpu_scripts.test_launch import hostile_arguments, wait_until
from tests.tpu_scripts.test_real_gcloud import real_gcloud

pytestmark = pytest.mark.slow

# Where a host's address leads, and what its shell sees.
REACH = """#!{python} -I
import os, re, shutil, subprocess, sys
words = sys.argv[1:]
with open({root!r} + "/calls", "a") as calls:
    calls.write(repr(sys.argv) + "\\n")
target = next(w for w in words if re.search(r"@10[.]0[.]0[.][0-9]+", w))
worker = {root!r} + "/" + re.search(r"@10[.]0[.]0[.]([0-9]+)", target)[1]
if os.path.basename(sys.argv[0]) == "scp":
    shutil.copyfile(words[-2], worker + "/home/" + target.partition(":")[2])
    sys.exit(0)
command = " ".join(words[words.index("--") + 1 :])
path = worker + "/bin:/usr/local/bin:/usr/bin:/bin"
environment = {{"HOME": worker + "/home", "PATH": path, "FAKE_WORKER": worker + "/"}}
environment |= {{"LANG": "C.UTF-8", "TPU_SCRIPTS_LIBTPU_LOCK": worker + "/lock"}}
os.chdir(worker + "/home")
os.execve("/bin/bash", ["bash", "-c", command], environment)
"""


class Service(BaseHTTPRequestHandler):
    """As much of the TPU and Compute APIs as the scripts' commands ask for."""

    requests: dict = {}
    states: list = []
    hosts = 2

    def do_GET(self):
        """One thing, or a list."""
        path = self.path.partition("?")[0]
        kind, name = re.search(r"/([a-zA-Z]+)(?:/([^/]+))?$", path).groups()
        if "/compute/" in path:
            self.answer({"name": "my-project"})
        elif kind == "operations":
            self.operation()
        elif kind == "queuedResources" and name:
            if name in self.requests and self.states:
                self.requests[name]["state"] = {"state": self.states.pop(0)}
            self.answer(self.requests.get(name))
        elif kind == "queuedResources":
            self.answer({"queuedResources": list(self.requests.values())})
        elif kind == "nodes" and name:
            self.answer(next((n for n in self.nodes() if n["name"].endswith("/" + name)), None))
        else:
            self.answer({"nodes": self.nodes()})

    def do_POST(self):
        """A request; guest attributes are none."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        if "getGuestAttributes" in self.path:
            self.answer(None)
            return
        path, _, query = self.path.partition("?")
        name = re.search(r"queuedResourceId=([^&]+)", query)[1]
        self.requests[name] = body | {"name": f"{path.removeprefix('/v2/')}/{name}"}
        self.requests[name]["state"] = {"state": "ACCEPTED"}
        self.operation()

    def do_PATCH(self):
        """The key for ssh, which gcloud brings to a node that it comes to first."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        [request] = self.requests.values()
        request["tpu"]["nodeSpec"][0]["node"] |= body
        self.operation()

    def do_DELETE(self):
        """A request; only with its nodes."""
        path, _, query = self.path.partition("?")
        assert "force=True" in query or "force=true" in query, query
        del self.requests[path.rpartition("/")[2]]
        self.operation()

    def nodes(self) -> list[dict]:
        """Those of the requests that serve."""
        nodes = []
        for request in self.requests.values():
            [spec] = request["tpu"]["nodeSpec"]
            where = request["name"].partition("/queuedResources/")[0]
            ends = [{"ipAddress": f"10.0.0.{i}", "port": 8470} for i in range(self.hosts)]
            if request["state"]["state"] == "ACTIVE":
                node = {"name": f"{where}/nodes/{spec['nodeId']}", "state": "READY", "id": "1"}
                node |= {"health": "HEALTHY", "networkEndpoints": ends, "apiVersion": "V2"}
                nodes.append(spec["node"] | node)
        return nodes

    def operation(self):
        """One that is done."""
        self.answer({"name": "projects/my-project/locations/us-east5-a/operations/o", "done": True})

    def answer(self, value):
        """JSON, or 404."""
        missing = {"error": {"code": 404, "status": "NOT_FOUND", "message": "it was not found"}}
        content = json.dumps(value if value is not None else missing).encode()
        self.send_response(200 if value is not None else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def service(tmp_path):
    """A run whose gcloud is the real one."""
    gcloud = real_gcloud()
    workers = tmp_path / "workers"
    for index in range(Service.hosts):
        (workers / str(index) / "home").mkdir(parents=True)
        programs = workers / str(index) / "bin"
        programs.mkdir()
        answer = f'case "$*" in *agent-worker-number) echo {index} ;; *) exit 22 ;; esac\n'
        for name, text in {**PROGRAMS, "curl": "#!/bin/sh\n" + answer}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("ssh", "scp"):
        (programs / name).write_text(REACH.format(python=sys.executable, root=str(workers)))
        (programs / name).chmod(0o755)
    (programs / "gcloud").symlink_to(os.path.realpath(gcloud))
    Service.requests, Service.states = {}, ["WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    run = Run(tmp_path, Cloud(tmp_path / "unused"))
    run.configure()
    run.config.write_text(
        run.config.read_text().replace('"v5e-8"', '"v4-16"').replace("slices = 2", "slices = 1")
    )
    run.variables = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "1",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU": url,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{url}compute/v1/",
    }
    (tmp_path / "home").mkdir()
    yield run
    server.shutdown()
    end_processes(workers, 0)


def test_a_life_through_the_real_gcloud(service, tmp_path):
    service("create", "--yes")
    [request] = Service.requests.values()
    assert request["spot"] == {} and request["state"] == {"state": "ACTIVE"}
    assert request["tpu"]["nodeSpec"][0]["node"]["labels"] == {"biobert-run": "demo"}
    service("setup")
    words = [os.fsdecode(argument) for argument in hostile_arguments()]
    service("launch", "--", "keep_arguments", *words)
    for index in range(2):
        got = tmp_path / "workers" / str(index) / "home" / "arguments"
        wait_until(got.exists)
        assert got.read_bytes() == b"".join(os.fsencode(word) + b"\0" for word in words)
    shown = json.loads(service("status", "--json").stdout)
    assert [row["worker"] for row in shown["workers"]] == [0, 1] and shown["ok"]
    service("fetch")
    assert (tmp_path / "run.toml.state/fetched/logs/slice0_worker1.exit_code").read_text() == "0\n"
    service("delete")
    assert Service.requests == {}
    assert not list(tmp_path.rglob("CANARY*"))
