"""What can only be said of several hosts: each against process 0."""

from collections.abc import Mapping, Sequence
from typing import Any

from biobert_jax.doctor.findings import Finding

# Seconds. The roll call takes up to one, on busy hosts more; a bucket refuses signatures that are
# minutes off, and who reads logs of several hosts is misled by less.
MAX_SKEW = 5.0
MAX_SKEW_OF_BUCKET = 60.0


def versions(everyone: Sequence[Mapping[str, str]]) -> list[Finding]:
    """Each host's versions, which must be process 0's."""
    first = everyone[0]
    shown = ", ".join(f"{name} {version}" for name, version in first.items() if version)
    findings = [Finding("versions", True, shown)]
    for theirs in everyone[1:]:
        other = [
            f"{name} {theirs.get(name) or '(none)'}, not {version or '(none)'}"
            for name, version in first.items()
            if theirs.get(name) != version
        ]
        text = "; ".join(other) + ": install what process 0 has" if other else "as process 0's"
        findings.append(Finding("versions", not other, text))
    return findings


def clocks(times: Sequence[float], bucket_ahead: Sequence[float | None]) -> list[Finding]:
    """Each host's clock against process 0's and the bucket's.

    Args:
      times: seconds since 1970, of one moment.
      bucket_ahead: seconds by which the bucket's clock is ahead of each host's; None: no bucket.
    """
    findings = []
    for index, (time, ahead) in enumerate(zip(times, bucket_ahead, strict=True)):
        skew = time - times[0]
        wrong = abs(skew) > MAX_SKEW or abs(ahead or 0.0) > MAX_SKEW_OF_BUCKET
        parts = [f"{skew:+.1f} s of process 0's"] if index else []
        parts += [] if ahead is None else [f"{-ahead:+.0f} s of the bucket's"]
        text = ", ".join(parts) or "nothing to compare it with"
        findings.append(
            Finding("clock", not wrong, f"{text}: set it by NTP (chronyd)" if wrong else text)
        )
    return findings


def devices(everyone: Sequence[Mapping[str, Any]], expected: Any) -> list[Finding]:
    """Each host's devices against process 0's, the number in all, and what was expected.

    Args:
      everyone: `devices.facts` of each host.
      expected: `devices.Expected`, or None.
    """
    first, total = everyone[0], sum(facts["local"] for facts in everyone)
    findings = []
    for facts in everyone:
        text = f"{facts['local']} of {facts['all']} {facts['kind']} ({facts['chips']} chips in all)"
        wrong = list(facts["wrong"])
        if facts["all"] != total:
            wrong.append(f"the hosts have {total} together: start one process on each host")
        if (facts["local"], facts["kind"]) != (first["local"], first["kind"]):
            wrong.append(f"process 0 has {first['local']} {first['kind']}")
        if expected is not None:
            wrong += expected.differences(facts)
        findings.append(Finding("devices", not wrong, "; ".join([text, *wrong])))
    return findings
