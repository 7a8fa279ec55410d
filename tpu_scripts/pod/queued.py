"""Queued resources: asking for TPUs, waiting with a deadline a phase, deleting, finding leaks."""

import re
import time
from dataclasses import dataclass
from typing import Any

from .config import Config
from .errors import ScriptError, Unanswered
from .gcloud import Gcloud, say

QUEUED = ("compute", "tpus", "queued-resources")
VM = ("compute", "tpus", "tpu-vm")
LABEL = "biobert-run"

# Phases of a request's states, and the deadline of each.
PHASES = {
    "CREATING": "assignment",
    "ACCEPTED": "assignment",
    "WAITING_FOR_RESOURCES": "assignment",
    "PROVISIONING": "provisioning",
    "ACTIVE": "ready",
}
# A request in one of these never comes back, and keeps its quota until it is deleted.
DEAD = ("FAILED", "SUSPENDING", "SUSPENDED", "DELETING")
# A request that is in another state than a deletion wants.
BUSY = re.compile(r"FAILED_PRECONDITION|ABORTED|being (deleted|suspended)|(?i:timed out)")
# Of a node: what its request's state may not say yet.
DEAD_NODE = ("PREEMPTED", "TERMINATED", "STOPPED", "STOPPING", "DELETING", "HIDING", "HIDDEN")


class Lost(ScriptError):
    """A request that will not serve any more."""


@dataclass(frozen=True)
class Request:
    """A queued resource."""

    name: str
    state: str
    nodes: tuple[str, ...]  # a slice each, in order
    created: str = ""
    reason: str = ""  # where it failed

    @property
    def why(self) -> str:
        """The reason behind a colon, if there is one."""
        return f": {self.reason}" if self.reason else ""

    @property
    def is_dead(self) -> bool:
        """It will not serve any more."""
        return self.state in DEAD


def find(gcloud: Gcloud) -> list[Request]:
    """All requests of the run, by label, the oldest first; in a dry run, one that serves."""
    listed, name = gcloud.look(*QUEUED, "list"), gcloud.config.name
    if gcloud.dry_run:
        return [Request(name, "ACTIVE", node_names(gcloud.config, name))]
    requests = [_request(entry) for entry in listed or [] if _label(entry) == name]
    return sorted(requests, key=lambda request: request.created)


def current(gcloud: Gcloud) -> Request | None:
    """The run's request that serves or will, the newest of several."""
    alive = [request for request in find(gcloud) if not request.is_dead]
    return alive[-1] if alive else None


def active(gcloud: Gcloud) -> Request:
    """The run's request, serving.

    Raises:
      ScriptError: there is none, or not yet.
    """
    request = current(gcloud)
    if request is None:
        raise ScriptError(f"run {gcloud.config.name} has no TPU: tpu_scripts/create makes one")
    if request.state != "ACTIVE":
        raise ScriptError(
            f"request {request.name} is {request.state}: tpu_scripts/create waits for it, "
            "tpu_scripts/status looks"
        )
    return request


def describe(gcloud: Gcloud, name: str) -> Request | None:
    """One request, or None where there is none of that name."""
    entry = gcloud.look(*QUEUED, "describe", name)
    if gcloud.dry_run:
        return Request(name, "ACTIVE", node_names(gcloud.config, name))
    return _request(entry) if entry else None


def ask(gcloud: Gcloud, name: str) -> None:
    """Sends the request.

    Raises:
      ScriptError: it was not taken.
    """
    tpu, one = gcloud.config.tpu, gcloud.config.accelerator
    args = [f"--accelerator-type={one.type}"]
    args += [f"--runtime-version={tpu.runtime_version or one.runtime_version}"]
    if tpu.slices == 1:
        args += [f"--node-id={name}"]
    else:
        args += [f"--node-count={tpu.slices}", f"--node-prefix={name}"]
    args += {"spot": ["--spot"], "reserved": ["--reserved"], "on_demand": []}[tpu.capacity]
    args += [f"--labels={LABEL}={gcloud.config.name}"]
    options = {
        "--service-account": tpu.service_account,
        "--scopes": ",".join(tpu.scopes),
        "--network": tpu.network,
        "--subnetwork": tpu.subnetwork,
        "--tags": ",".join(tpu.tags),
        "--valid-until-duration": tpu.valid_until,
    }
    args += [f"{option}={value}" for option, value in options.items() if value]
    args += ["--internal-ips"] if tpu.internal_ips else []
    gcloud.change(*QUEUED, "create", name, *args)


def wait(gcloud: Gcloud, name: str) -> Request:
    """Waits until the request serves.

    Raises:
      Lost: it has come to an end, gone, or stayed too long in one phase.
    """
    phase, since, shown = "assignment", time.monotonic(), ""
    while True:
        try:
            request = describe(gcloud, name)
        except Unanswered as error:
            say(str(error))
            request = Request(name, shown, ())
        if request is None:
            raise Lost(f"request {name} is gone")
        if request.state != shown:
            say(f"request {name}: {request.state}")
            shown = request.state
        if request.is_dead:
            raise Lost(f"request {name} is {request.state}{request.why}")
        if request.state == "ACTIVE":
            return request
        # An unknown state is given the deadline of the phase before it.
        now = PHASES.get(request.state, phase)
        if now != phase:
            phase, since = now, time.monotonic()
        minutes = getattr(gcloud.config.deadlines, phase)
        if time.monotonic() - since > 60 * minutes:
            raise Lost(
                f"request {name} is {request.state} for {minutes:g} minutes: deadlines.{phase}"
            )
        gcloud.pause(gcloud.config.poll_seconds)


def lost_nodes(gcloud: Gcloud, request: Request) -> list[str]:
    """What is wrong with the nodes of a request that calls itself active."""
    listed = gcloud.look(*VM, "list") or []
    if gcloud.dry_run:
        return []
    states = {_short(node["name"]): node.get("state", "?") for node in listed}
    wrong = [(node, states.get(node, "gone")) for node in request.nodes]
    return [f"{node} is {state}" for node, state in wrong if state in (*DEAD_NODE, "gone")]


def delete_request(gcloud: Gcloud, name: str) -> bool:
    """Deletes a request with its nodes, and waits until it is gone; False if it would not go.

    Raises:
      ScriptError: it may not be deleted.
    """
    deadline = time.monotonic() + 60 * gcloud.config.deadlines.deletion
    while True:
        words = (*QUEUED, "delete", name, "--force")
        done = gcloud.run(gcloud.words(*words))
        if gcloud.dry_run or done.not_found or is_gone(gcloud, name):
            return True
        # One that is being suspended, or deleted already, refuses for a while.
        if done.code and not BUSY.search(done.stderr):
            raise gcloud.error(done, words)
        if time.monotonic() > deadline:
            return False
        gcloud.pause(gcloud.config.poll_seconds)


def is_gone(gcloud: Gcloud, name: str) -> bool:
    """True where the cloud says so, not where it says nothing."""
    try:
        return describe(gcloud, name) is None
    except Unanswered:
        return False


def stray_nodes(gcloud: Gcloud) -> list[str]:
    """Nodes that carry the run's label."""
    listed = gcloud.look(*VM, "list") or []
    name = gcloud.config.name
    return [_short(node["name"]) for node in listed if node.get("labels", {}).get(LABEL) == name]


def node_names(config: Config, request: str) -> tuple[str, ...]:
    """How the nodes of a request are called."""
    slices = config.tpu.slices
    return (request,) if slices == 1 else tuple(f"{request}-{i}" for i in range(slices))


def _request(entry: dict[str, Any]) -> Request:
    name, state, nodes = _short(entry["name"]), entry.get("state", {}), []
    for spec in entry.get("tpu", {}).get("nodeSpec", []):
        several = spec.get("multisliceParams")
        if several:
            prefix = several.get("nodeIdPrefix") or name
            nodes += [f"{prefix}-{i}" for i in range(several["nodeCount"])]
        else:
            nodes.append(spec.get("nodeId", name))
    reason = state.get("failedData", {}).get("error", {}).get("message", "")
    return Request(
        name,
        state.get("state", "STATE_UNSPECIFIED"),
        tuple(nodes),
        entry.get("createTime", ""),
        " ".join(reason.split()),
    )


def _label(entry: dict[str, Any]) -> str | None:
    specs = entry.get("tpu", {}).get("nodeSpec", [])
    return next((spec.get("node", {}).get("labels", {}).get(LABEL) for spec in specs), None)


def _short(name: str) -> str:
    return name.rpartition("/")[2]
