"""Which processes a cluster has started together, asked before any of them is waited for.

JAX finds out what Slurm, Open MPI, TPU slices and Kubernetes say of a process, but
`jax.distributed.initialize()` then waits at once, and ends with a stack of C++ where it waits in
vain. Here its findings are looked at first: a single process waits for nobody, and one of several
that cannot know where the others are is refused in a line.
"""

import importlib.util
import os
from typing import Any, NamedTuple

from biobert_jax.errors import UserError

_GIVE = "give --coordinator HOST:PORT --num_processes N --process_id I on each process"
_OR_OFF = "or --distributed=off where it has nothing to do with other processes"
# Classes of jax._src.clusters in the order in which JAX asks them.
_NAMES = {
    "OmpiCluster": "Open MPI",
    "SlurmCluster": "Slurm",
    "GkeTpuCluster": "TPU slice (GKE)",
    "GceTpuCluster": "TPU slice",
    "K8sCluster": "Kubernetes",
}
_TPUS = ("GkeTpuCluster", "GceTpuCluster")


class Cluster(NamedTuple):
    """What started this process together with others.

    Attributes:
      name: of the kind of cluster, for messages.
      num_processes: more than one.
      process_id: which of them this is.
      local_device_ids: the devices that this process is to use; None: all that it sees.
      environment: JAX's class, which knows where process 0 is.
    """

    name: str
    num_processes: int
    process_id: int
    local_device_ids: list[int] | None
    environment: Any

    def coordinator(self, timeout: int) -> str:
        """HOST:PORT of process 0, whose name is looked up for so many seconds at most.

        Raises:
          UserError: it has no address.
        """
        try:
            return self.environment.get_coordinator_address(
                timeout_secs=timeout,
                override_coordinator_port=os.environ.get("JAX_COORDINATOR_PORT"),
            )
        except Exception as error:
            raise _unclear(self.name, error) from error


def find() -> Cluster | None:
    """The cluster that started this process as one of several; None: it is the only one.

    Raises:
      UserError: there are several, but not enough is said to join them.
    """
    _refuse_open_mpi_5()
    cluster = _find_by_jax(tuple(_NAMES))
    size = _number("PMI_SIZE")
    if size > 1 and (cluster is None or cluster.num_processes != size):
        raise UserError(
            f"MPI started {size} processes, but does not say where process 0 is: give "
            "--coordinator HOST:PORT --num_processes $PMI_SIZE --process_id $PMI_RANK on each, "
            + _OR_OFF
        )
    return cluster


def find_slice() -> Cluster | None:
    """The TPU slice of several hosts that this process runs on one of; None: there is none.

    Its hosts are waited for by libtpu itself, whatever JAX is told.
    """
    try:
        return _find_by_jax(_TPUS)
    except UserError:
        return None


def _find_by_jax(kinds: tuple[str, ...]) -> Cluster | None:
    # Private, since `jax.distributed` has no question without a wait.
    from jax._src.clusters import ClusterEnv

    for environment in ClusterEnv._cluster_types:
        kind = environment.__name__
        if kind not in kinds or (kind == "K8sCluster" and not _is_indexed_job()):
            continue
        name = _NAMES[kind]
        try:
            if kind in _TPUS and _is_lone_host():
                return None
            if not environment.is_env_present():
                continue
            count = environment.get_process_count()
            if kind == "SlurmCluster":
                # In a shell inside a job the job's tasks are counted, of which it is none.
                count = _number("SLURM_STEP_NUM_TASKS") or count
            if count == 1:
                return None
            return Cluster(
                name, count, environment.get_process_id(), _local_devices(environment), environment
            )
        except Exception as error:
            raise _unclear(name, error) from error
    return None


def _local_devices(environment: Any) -> list[int] | None:
    """One device where a host has several processes, which is the custom on GPUs, else all.

    JAX would take one of a host's only process too, and count devices that the cluster has hidden.
    """
    from jax._src.clusters.cluster import running_in_cloud_tpu_vm

    local = environment.get_local_process_id()
    if local is None or running_in_cloud_tpu_vm:
        return None
    nodes = _number("SLURM_STEP_NUM_NODES")
    alone = (
        _number("OMPI_COMM_WORLD_LOCAL_SIZE") == 1
        if environment.__name__ == "OmpiCluster"
        else nodes > 0 and nodes == environment.get_process_count()
    )
    own = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return None if alone or (own and "," not in own) else [local]


def _refuse_open_mpi_5() -> None:
    """Since version 5 its processes are not told where the first of them is."""
    size = _number("OMPI_COMM_WORLD_SIZE")
    if size > 1 and "OMPI_MCA_orte_hnp_uri" not in os.environ:
        raise UserError(
            f"Open MPI started {size} processes, but does not say where process 0 is: give "
            "--coordinator HOST:PORT --num_processes $OMPI_COMM_WORLD_SIZE --process_id "
            f"$OMPI_COMM_WORLD_RANK on each, {_OR_OFF}"
        )


def _is_lone_host() -> bool:
    """Whether the environment tells of one TPU host: Colab and Kaggle, which have no metadata."""
    hosts = os.environ.get("TPU_PROCESS_ADDRESSES") or os.environ.get("TPU_WORKER_HOSTNAMES", "")
    return bool(hosts) and "," not in hosts and _number("MEGASCALE_NUM_SLICES") <= 1


def _is_indexed_job() -> bool:
    """Whether Kubernetes runs this pod as one of a job's; of other pods it is not asked.

    Raises:
      UserError: it does, but how many there are cannot be asked.
    """
    if not {"KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX"} <= set(os.environ):
        return False
    from jax._src.clusters import GkeTpuCluster

    if GkeTpuCluster.is_env_present():
        return False  # has answered for it
    if importlib.util.find_spec("kubernetes") is None:
        raise UserError(
            f"this is pod {os.environ['JOB_COMPLETION_INDEX']} of a Kubernetes job, of which the "
            f"others cannot be asked without `pip install kubernetes`: install that, {_GIVE}, "
            f"{_OR_OFF}"
        )
    return True


def _unclear(name: str, error: Exception) -> UserError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return UserError(f"{name}: its processes cannot be found out ({reason}): {_GIVE}, {_OR_OFF}")


def _number(variable: str) -> int:
    """An environment variable's number; 0 where it has none."""
    value = os.environ.get(variable, "")
    return int(value) if value.isdigit() else 0
