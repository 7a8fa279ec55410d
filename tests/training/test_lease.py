"""One run at a time in a bucket's folder: taken, kept fresh, lost, and left by the dead."""

import json
import os
import time

import pytest

from biobert_jax import storage
from biobert_jax.errors import UserError
from biobert_jax.training import lease as lease_module
from biobert_jax.training.lease import Lease

QUICK = {"expires": 0.6, "refresh": 0.1}
PATIENT = {"expires": 20.0, "refresh": 0.1}


@pytest.fixture(autouse=True)
def look_often(monkeypatch):
    monkeypatch.setattr(lease_module, "_LOOK_AGAIN", 0.05)


@pytest.fixture
def folder(bucket, request):
    return storage.path(f"{bucket.bucket}/{request.node.name}".replace("[", "-").replace("]", ""))


def leave(folder, **changes):
    """A lease that its holder left, as another machine's."""
    holder = {"token": "x", "host": "elsewhere", "pid": 1, "machine": ["a", "b"], "started": "1"}
    storage.write_bytes(folder / lease_module.NAME, json.dumps(holder | changes).encode())


def is_there(folder):
    return storage.exists(folder / lease_module.NAME)


@pytest.mark.parametrize("machine", ["this one", "another"])
def test_it_is_held_by_one_and_given_back(folder, machine, monkeypatch):
    with Lease(folder, **PATIENT) as held:
        if machine == "another":  # whose processes cannot be looked at
            monkeypatch.setattr(lease_module, "_lives", lambda holder: None)
        with pytest.raises(UserError, match=f"another run is in it .process {os.getpid()} on "):
            with Lease(folder, **PATIENT):
                pass
        held.check()
    assert not is_there(folder)
    with Lease(folder, **QUICK):
        assert is_there(folder)


def test_one_that_gives_no_sign_is_taken_over_after_a_while(folder):
    leave(folder)
    said, began = [], time.monotonic()
    with Lease(folder, say=said.append, **QUICK):
        assert time.monotonic() - began >= QUICK["expires"]
    assert "held by process 1 on elsewhere: waiting" in said[0]


@pytest.mark.parametrize("holder", ["gone", "another with its number"])
def test_a_dead_process_of_this_machine_is_not_waited_for(folder, holder):
    own = lease_module._process()
    pid = 2**22 if holder == "gone" else own["pid"]  # above the largest there can be
    leave(folder, machine=own["machine"], pid=pid, started="0")
    said = []
    with Lease(folder, say=said.append, **QUICK):
        assert said == []


def test_who_has_lost_it_is_told_and_leaves_it_alone(folder):
    with Lease(folder, **QUICK) as held:
        leave(folder)
        end = time.monotonic() + 5
        while not held._lost and time.monotonic() < end:
            time.sleep(0.02)
        with pytest.raises(UserError, match="taken over by process 1 on elsewhere"):
            held.check()
    assert is_there(folder)


def test_who_cannot_refresh_it_looks_before_a_save(folder, monkeypatch):
    """A refreshment may hang while another run takes over."""
    with Lease(folder, expires=0.4, refresh=60.0) as held:
        held.check()
        leave(folder)
        time.sleep(0.3)
        with pytest.raises(UserError, match="taken over by process 1 on elsewhere"):
            held.check()


def test_a_lease_that_this_process_has_given_up_is_free(folder):
    own = lease_module._process()
    leave(folder, **own)
    with Lease(folder, **PATIENT):
        pass
    assert not is_there(folder)


def test_answers_that_get_lost_do_not_lose_it(folder, bucket):
    with bucket.failing(0.5, faults=("lost", 503)):
        with Lease(folder, expires=30.0, refresh=0.05) as held:
            time.sleep(1.0)
            held.check()
    assert not is_there(folder)
