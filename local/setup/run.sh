#!/bin/sh
# Prepares this machine. What is costly to make is kept in ~/.cache and shared by all checkouts.
#
#   sh local/setup/run.sh check     what `make check` needs
#   sh local/setup/run.sh stack     what `make up` and `make demo` need besides: the emulator, Node 22, Directus
#   sh local/setup/run.sh tests     what the tests need besides: a browser, PostgreSQL, PDF programs
#   sh local/setup/run.sh bench     what the benchmarks need
#   sh local/setup/run.sh lock      writes the lock files anew from their .in files: hashes, but no registry's address
#   sh local/setup/run.sh python    prints the path of this machine's Python 3.13
#
# Everything is made beside its place and renamed, or marked, when it is whole: what was interrupted is made again.
set -eu
cd "$(dirname "$0")/../.."
purpose=${1:-tests}
case $purpose in
check | stack | tests | bench | lock | python) ;;
*) echo "Set-up: there is no $purpose; there are check, stack, tests, bench, lock, python." >&2 && exit 2 ;;
esac

fail() {
    echo "Set-up: $*" >&2
    exit 1
}

# logged <log> <command ...>: its output goes to a log; when it fails, the last lines are shown. It does not inherit the
# lock, which a program that outlives the set-up would hold.
logged() {
    log=$logs/$1.log
    shift
    "$@" >"$log" 2>&1 9>&- && return
    echo "  The last lines of $log:" >&2
    tail -n 12 "$log" | sed 's/^/    /' >&2
    return 1
}

find_python() {
    # A pyenv shim exists for versions that are not enabled, so only a run proves it. SAM refuses shims: the real path.
    for candidate in "${PYTHON313:-}" .venv/bin/python python3.13 "$HOME"/.pyenv/versions/3.13*/bin/python3.13 \
        "$HOME"/.local/share/uv/python/cpython-3.13*/bin/python3.13 python3 python; do
        "$candidate" -c 'import os, sys; sys.version_info[:2] == (3, 13) or sys.exit(1)
print(os.path.realpath(sys._base_executable))' 2>/dev/null && return
    done
    fail "Python 3.13 is needed and was not found (PATH, ~/.pyenv/versions, uv's own); install it and run this again."
}

bring_uv() {
    [ ! -x "$uv" ] || return 0
    # Any Python with pip will do: Debian's python3.13 has none, nor has an environment that uv made.
    for candidate in "$python" python3 python3.12 python3.11 python3.10 python3.9; do
        "$candidate" -m pip --version >/dev/null 2>&1 || continue
        rm -rf "$uv_directory" "$uv_directory.building"
        logged uv "$candidate" -m pip install --no-deps --require-hashes --disable-pip-version-check \
            --target "$uv_directory.building" -r requirements/uv.txt || continue
        mv "$uv_directory.building" "$uv_directory"
        return
    done
    fail "no Python has a pip that could install uv; mend what is said above, or install pip (Debian: python3-pip)."
}

# `.venv`, the environment of this checkout. Our own package is imported from its sources.
bring_development() {
    [ ! -x .venv/bin/python ] || [ "$(cat .venv/.lock-digest 2>/dev/null)" != "$development" ] || return 0
    echo "  Python environment .venv"
    logged dev "$uv" venv --clear --python "$python" .venv &&
        logged dev "$uv" pip sync --require-hashes --python .venv/bin/python requirements/dev.txt ||
        fail "uv could not make .venv."
    echo "$PWD/layers/billing" >.venv/lib/python3.13/site-packages/directus-legal-billing.pth
    echo "$development" >.venv/.lock-digest
}

# bring_environment <name> <directory>: one that all checkouts share. SAM and the emulator pin an SDK each, and the
# functions' sandbox mounts `lambda_runtime` alone and read-only, hence the byte code.
bring_environment() {
    [ ! -x "$2/bin/python" ] || return 0 # a link that dangles where Python was replaced
    echo "  Python environment $1"
    rm -rf "$2"
    logged "$1" "$uv" venv --clear --relocatable --python "$python" "$2.building" &&
        logged "$1" "$uv" pip sync --require-hashes --compile-bytecode --python "$2.building/bin/python" \
            "requirements/$1.txt" ||
        fail "uv could not make the Python environment $1."
    mv "$2.building" "$2"
}

bring_environments() {
    bring_development
    bring_environment sam "$sam"
    [ "$purpose" != check ] || return 0
    bring_environment ministack "$ministack"
    bring_environment lambda_runtime "$lambda_runtime"
    .venv/bin/python -m local.stripe_simulator.specification >/dev/null ||
        fail "Stripe's OpenAPI document could not be fetched."
    # While Directus is compiled there is time for `sam build`; otherwise, or if it fails, the start of the stack does it.
    [ -d "$directus_tree" ] || .venv/bin/python -c "from local.adapter.build import built
from local.setup.paths import ROOT
built(ROOT)" >/dev/null 2>&1 || :
}

# npm_ci <folder with the lock> <directory> [options]: leaves the tree in <directory>.building.
npm_ci() {
    command -v npm >/dev/null ||
        fail "npm is needed to install Node 22 and Directus; install Node.js with npm (any version) and run this again."
    rm -rf "$2.building"
    mkdir -p "$2.building"
    cp "$1/package.json" "$1/package-lock.json" "$2.building"
    (cd "$2.building" && logged "${1##*/}" npm ci --no-audit --no-fund --no-update-notifier ${3:+"$3"}) ||
        fail "npm could not install ${1##*/}."
}

bring_node() {
    [ ! -x "$node_directory/bin/node" ] || return 0
    echo "  Node 22"
    npm_ci local/node "$node_tree" --ignore-scripts
    rm -rf "$node_tree"
    mv "$node_tree.building" "$node_tree"
    [ -x "$node_directory/bin/node" ] || fail "npm brought no Node 22 for this machine ($node_directory)."
}

bring_directus() {
    [ ! -d "$directus_tree" ] || return 0
    echo "  Directus (several minutes the first time: native modules are compiled)"
    # With Node 22 first on PATH but the headers of the machine's Node they compile and fail when loaded.
    export PATH="$node_directory/bin:$PATH" npm_config_nodedir="$node_directory"
    npm_ci local/directus "$directus_tree"
    (cd "$directus_tree.building" && logged directus-load node -e "require('isolated-vm'); require('sqlite3')
        if (process.versions.modules !== '$node_abi') throw new Error('Node ABI ' + process.versions.modules)") ||
        fail "Directus was installed but its native modules do not load under Node 22."
    mv "$directus_tree.building" "$directus_tree"
}

write_locks() {
    for source in requirements/*.in layers/*/requirements.in; do
        echo "  $source"
        "$uv" pip compile --quiet --generate-hashes --python-version 3.13 --python-platform linux \
            --no-emit-index-url --no-annotate --no-header --output-file "${source%.in}.txt" "$source"
    done
}

[ "$(uname -s)" = Linux ] || fail "the local stack runs on Linux; elsewhere use a Linux machine or container."
python=$(find_python)
[ "$purpose" != python ] || { echo "$python" && exit; }
eval "$("$python" -m local.setup.paths)"
uv=$uv_directory/bin/uv
mkdir -p "$logs"
export UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never

# One set-up at a time: two checkouts must not build the same thing.
exec 9>"${logs%/*}/setup.lock"
flock --nonblock 9 || { echo "  Another set-up is at work on this machine; waiting for it." && flock 9; }
bring_uv
[ "$purpose" != lock ] || { write_locks && exit; }
[ "$purpose" != check ] || { bring_environments && exit; }
compilers=
[ -d "$directus_tree" ] || compilers=compilers
sh local/setup/apt.sh "$purpose" $compilers 9>&-
# Directus takes longest: the environments are made beside it. They become whole whatever happens to Directus, and hold
# the lock as long; the interrupt key, which a shell hides from what it started beside itself, ends them too.
trap 'trap - INT && kill 0' INT
trap wait EXIT
bring_environments &
bring_node
bring_directus
wait $! || fail "the Python environments are not whole; the reason is above."
