"""Shows a run: its requests, its nodes, and on every worker the command and its exit code.

Ends with 1 where something is lost, silent, or has failed.
"""

import argparse
import base64
import json
from typing import Any

from . import queued, workers
from .create import announcement
from .gcloud import Gcloud


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print it as one JSON value")


def run(args: argparse.Namespace, gcloud: Gcloud) -> int:
    """Looks, and prints."""
    shown = look(gcloud)
    if gcloud.dry_run:
        return 0
    print(json.dumps(shown, indent=1) if args.json else _table(gcloud, shown))
    return 0 if shown["ok"] else 1


def look(gcloud: Gcloud) -> dict[str, Any]:
    """Requests, what is wrong with the nodes, and workers."""
    requests = queued.find(gcloud)
    alive = [request for request in requests if request.state == "ACTIVE"]
    problems, found = [], {}
    if alive:
        problems = queued.lost_nodes(gcloud, alive[-1])
        found = workers.ask(gcloud, alive[-1].nodes, "status")
    expected = sorted(workers.expected(gcloud.config)) if alive else []
    rows = [
        {"slice": index, "worker": worker, **worker_row(found.get((index, worker)))}
        for index, worker in expected
    ]
    dead = [request for request in requests if request.is_dead]
    well = all(row["state"] in ("none", "running") or row["code"] == "0" for row in rows)
    return {
        "ok": bool(requests) and not dead and not problems and well,
        "requests": [
            {"name": r.name, "state": r.state, "nodes": r.nodes, "reason": r.reason}
            for r in requests
        ],
        "problems": problems,
        "workers": rows,
    }


def worker_row(report: dict[str, Any] | None) -> dict[str, Any]:
    """One worker's state, exit code, launch and last line."""
    if report is None:
        return {"state": "silent", "code": "", "launch": "", "setup": "", "last": ""}
    last = base64.b64decode(report["last"]).decode("utf-8", "replace")
    return {name: report[name] for name in ("state", "code", "launch", "setup")} | {"last": last}


def _table(gcloud: Gcloud, shown: dict[str, Any]) -> str:
    if not shown["requests"]:
        return f"run {gcloud.config.name} has nothing in {gcloud.config.zone}"
    lines = [announcement(gcloud.config)]
    for request in shown["requests"]:
        reason = f": {request['reason']}" if request["reason"] else ""
        lines.append(f"request {request['name']}: {request['state']}{reason}")
    lines += [f"node {problem}" for problem in shown["problems"]]
    for row in shown["workers"]:
        code = f" with {row['code']}" if row["code"] else ""
        last = "".join(c if c.isprintable() else "?" for c in row["last"])[:120]
        lines.append(f"slice {row['slice']} worker {row['worker']}: {row['state']}{code}  {last}")
    return "\n".join(lines)
