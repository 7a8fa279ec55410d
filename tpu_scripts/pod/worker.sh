#!/bin/sh
# What runs on a worker: sh worker.sh COMMAND RUN SLICE [ARGUMENT ...], written there by every call.
#
# gcloud runs a command again where it ended with 255, which ssh uses for a broken connection: so
# nothing here ends with 255, and what starts something does it once for one id.
# Standard output carries one line a report, written at once, since all workers share it.
set -u
umask 077
command=$1 run=$2 slice=$3
shift 3
root=$HOME/biobert_tpu
folder=$root/runs/$run
mkdir -p "$folder" || exit 1

metadata() {
    curl -sf -m 5 -H 'Metadata-Flavor: Google' \
        "http://metadata.google.internal/computeMetadata/v1/instance/$1" 2>/dev/null
}

# Which of its slice's workers this is: by the metadata server, else by the name of the host.
worker=$(metadata attributes/agent-worker-number) || worker=
case $worker in
'' | *[!0-9]*) worker=$(hostname | sed -n 's/.*-w-\([0-9][0-9]*\)$/\1/p') ;;
esac
worker=${worker:-0}

# report KEY VALUE ...: values hold nothing that JSON would have to quote.
report() {
    line="\"slice\": $slice, \"worker\": $worker"
    while [ $# -gt 1 ]; do
        line="$line, \"$1\": \"$2\""
        shift 2
    done
    printf '@tpu_scripts {%s}\n' "$line"
}

content() {
    cat "$1" 2>/dev/null
}

# A process of the run that lives holds the lock: it goes with the last of them, however they end.
is_free() {
    flock --nonblock --shared "$folder/lock" true
}

status() {
    state=none code=
    id=$(content "$folder/id")
    if ! is_free; then
        state=running
    elif [ -f "$folder/exit_code" ]; then
        state=ended code=$(content "$folder/exit_code")
    elif [ -n "$id" ]; then
        state=vanished
    fi
    last=$(tail -c 400 "$folder/log" 2>/dev/null | tail -n 1 | base64 -w 0)
    report state "$state" code "$code" launch "$id" setup "$(content "$root/ready")" last "$last"
}

# The file comes next, by scp: nothing of an earlier launch may stand for it.
prepare() {
    rm -f "$folder/env.new"
    status
}

# libtpu leaves this file when it is killed, and then refuses the next process.
clear_libtpu_lock() {
    file=${TPU_SCRIPTS_LIBTPU_LOCK:-/tmp/libtpu_lockfile}
    [ -e "$file" ] || return 0
    for link in /proc/[0-9]*/fd/*; do
        if [ "$(readlink "$link" 2>/dev/null)" = "$file" ]; then
            holder=${link#/proc/}
            report refused "process ${holder%%/*} uses the TPU"
            return 1
        fi
    done
    rm -f "$file" 2>/dev/null || sudo -n rm -f "$file"
}

# start ID COMMAND ...: detached, in a session of its own.
start() {
    id=$1
    shift
    exec 9>>"$folder/lock"
    if [ "$(content "$folder/id")" = "$id" ]; then
        report started again
        return 0
    fi
    if ! flock --wait 5 9; then
        report refused 'a run is alive'
        return 1
    fi
    clear_libtpu_lock || return 1
    rm -f "$folder/exit_code" "$folder/env"
    if [ -f "$folder/env.new" ]; then mv "$folder/env.new" "$folder/env"; fi
    printf '%s\n' "$id" >"$folder/id"
    setsid sh "$root/worker.sh" supervise "$run" "$slice" "$@" \
        </dev/null >>"$folder/log" 2>&1 &
    printf '%s\n' "$!" >"$folder/pid"
    report started "$id"
}

# The lock's descriptor 9 is inherited, by the command too.
supervise() {
    trap '' HUP
    # JAX takes these from the environment before it asks the metadata server, and after a
    # preemption they would name slices that are gone.
    for name in $(env | sed -n 's/^\(MEGASCALE_[A-Z0-9_]*\)=.*/\1/p'); do unset "$name"; done
    if [ -f "$folder/env" ]; then
        # shellcheck source=/dev/null
        . "$folder/env"
        rm -f "$folder/env"
    fi
    TPU_SCRIPTS_SLICE=$slice TPU_SCRIPTS_WORKER=$worker
    PATH=$root/current/.venv/bin:$PATH
    export PATH TPU_SCRIPTS_SLICE TPU_SCRIPTS_WORKER
    cd "$root/current" 2>/dev/null || cd "$HOME" || exit 1
    printf '%s: slice %s worker %s starts %s\n' \
        "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$slice" "$worker" "$(content "$folder/id")"
    env -- "$@" &
    child=$!
    trap 'kill -TERM "$child" 2>/dev/null' TERM INT
    # A signal ends wait, not the command.
    while :; do
        wait "$child"
        code=$?
        kill -0 "$child" 2>/dev/null || break
    done
    printf '%s\n' "$code" >"$folder/exit_code.new"
    mv "$folder/exit_code.new" "$folder/exit_code"
    printf '%s: exit code %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$code"
    # What the command has left behind would hold the TPU, and this run's lock.
    kill -KILL 0
}

# stop SECONDS: time to save, then the end of the whole session.
stop() {
    rm -f "$folder/env.new"
    leader=$(content "$folder/pid")
    if ! is_free && [ -n "$leader" ]; then
        kill -TERM "$leader" 2>/dev/null
        left=$1
        while ! is_free && [ "$left" -gt 0 ]; do
            sleep 1
            left=$((left - 1))
        done
        is_free || kill -KILL "-$leader" 2>/dev/null
    fi
    status
}

# logs LINES [follow]
logs() {
    touch "$folder/log"
    if [ $# -gt 1 ]; then
        tail -n "$1" -F "$folder/log" 2>/dev/null
    else
        tail -n "$1" "$folder/log"
    fi | sed -u "s/^/$slice.$worker | /"
}

# pack PATH ...: as a tar file on standard output. tar ends with 1 where a file has grown meanwhile.
pack() {
    cd "$HOME" && tar -cf - -- "$@"
    [ $? -le 1 ]
}

# results: what the run has left, as a tar file.
results() {
    set --
    for name in log id exit_code; do
        if [ -f "$folder/$name" ]; then set -- "$@" "$name"; fi
    done
    cd "$folder" && tar -cf - --files-from /dev/null "$@"
    [ $? -le 1 ]
}

# setup ID ARCHIVE PYTHON UV UV_VERSION LOCK: the checkout in a folder of its own, with an
# environment of its own; done once for one id, however often it is asked for.
setup() {
    id=$1 archive=$2 python=$3 uv=$4 uv_version=$5 lock=$6
    checkout=$root/checkouts/$id
    exec 8>>"$root/setup.lock"
    flock 8
    if [ ! -f "$checkout/.ready" ]; then
        if ! install >"$root/setup.log" 2>&1; then
            report failed "$(what_failed | tr -c 'a-zA-Z0-9 .,:;=_/()<>-' ' ' | cut -c 1-300)"
            return 1
        fi
    fi
    ln -sfn "$checkout" "$root/current"
    printf '%s\n' "$id" >"$root/ready"
    frozen=$("$checkout/.venv/bin/python" -c 'import sys, importlib.metadata as m
print("python==%d.%d.%d" % sys.version_info[:3])
print("\n".join(sorted({"==".join((d.name.lower(), d.version)) for d in m.distributions()})))' |
        gzip -n -9 | base64 -w 0)
    report ready "$id" packages "$frozen"
}

# What a program has called an error, else its last words; the lines with + are the shell's.
what_failed() {
    said=$(grep -v '^+' "$root/setup.log")
    printf '%s\n' "$said" | grep -i -m 1 -A 2 'error' || printf '%s\n' "$said" | tail -n 2
}

install() {
    set -x
    rm -rf "$checkout"
    mkdir -p "$checkout" || return 1
    tar -xzf "$root/$archive" -C "$checkout" || return 1
    if [ -z "$uv" ]; then
        uv=$(command -v uv) || uv=$HOME/.local/bin/uv
        [ -x "$uv" ] || python3 -m pip install --user --quiet "uv==$uv_version" || return 1
    fi
    cd "$checkout" || return 1
    "$uv" venv --quiet --python "$python" .venv || return 1
    "$uv" pip sync --quiet --python .venv/bin/python --require-hashes "$lock" || return 1
    "$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation \
        --editable . || return 1
    # Without huge pages a TPU starts slowly; where this may not be set, it starts all the same.
    pages=/sys/kernel/mm/transparent_hugepage/enabled
    sudo -n sh -c "echo always >$pages" || true
    touch .ready
    rm -f "$root/$archive"
}

case $command in
status | prepare | start | supervise | stop | logs | pack | results | setup) "$command" "$@" ;;
*)
    echo "worker.sh: no command $command" >&2
    exit 2
    ;;
esac
