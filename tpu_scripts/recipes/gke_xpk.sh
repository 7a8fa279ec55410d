#!/bin/sh
# A run on GKE, on a cluster that xpk has made (xpk cluster create …):
#     PROJECT=my-project ZONE=us-east5-a DATA=gs://my-bucket/pubmed WORKDIR=gs://my-bucket/runs/base \
#         sh tpu_scripts/recipes/gke_xpk.sh CLUSTER [OPTION …]
#
# xpk wants an environment of its own: uv tool install xpk. It builds an image of the checkout, in
# which the locked packages are installed at the start. GKE sends SIGTERM before it takes a machine: the run
# saves and ends with 143, 75 is its watchdog's; on both the workload is started again, which xpk
# does not do unless it is told how often.
# xpk 1.16.0 made a manifest of this by --dry-run --output-manifest-file; no cluster was at hand.
set -eu
cluster=$1
shift
cd "$(dirname "$0")/../.."

xpk workload create \
    --cluster="$cluster" \
    --project="${PROJECT:?}" \
    --zone="${ZONE:?}" \
    --workload=biobert-base \
    --tpu-type=v5litepod-16 \
    --num-slices=1 \
    --spot \
    --max-restarts=50 \
    --restart-on-exit-codes=75 \
    --termination-grace-period-seconds=120 \
    --base-docker-image=python:3.12-slim \
    --script-dir=. \
    --command="pip install --quiet uv && uv venv --quiet && \
uv pip sync --quiet --require-hashes requirements/tpu.lock && \
uv pip install --quiet --no-deps --no-build-isolation --editable . && \
.venv/bin/biobert pretrain --config pretrain_base --workdir ${WORKDIR:?} --config.data.dir=${DATA:?}" \
    "$@"
