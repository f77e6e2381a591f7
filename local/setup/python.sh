#!/bin/sh
# Prints the path of a Python 3.13 that runs, and brings the pinned uv into the cache when it is not there yet.
# Looks for Python in the checkout's own environment (so that it stays with the one it was made with), on PATH, in
# pyenv's versions and among uv's own; when there is none, uv installs one. Nothing but the path goes to standard
# output.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
cache="${DIRECTUS_LEGAL_BILLING_CACHE:-$HOME/.cache/directus-legal-billing}"
uv_version=$(sed -n 's/^uv==//p' "$here/requirements/uv.in")
uv="$cache/uv-$uv_version/bin/uv"
mkdir -p "$cache/logs"
log="$cache/logs/uv.log"

is_313() {
    # A pyenv shim exists for versions that are not enabled, so only a run proves it. The real path matters
    # too: SAM refuses shims.
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' >/dev/null 2>&1
}
first_313() {
    for candidate in "${PYTHON313:-}" "$here/.venv/bin/python" python3.13 \
        "$HOME"/.pyenv/versions/3.13*/bin/python3.13 \
        "$HOME"/.local/share/uv/python/cpython-3.13*/bin/python3.13 python3 python; do
        [ -n "$candidate" ] || continue
        if is_313 "$candidate"; then
            "$candidate" -c 'import os, sys; print(os.path.realpath(sys._base_executable))'
            return 0
        fi
    done
    return 1
}
bring_uv() {
    # Any Python with pip will do: Debian's python3.13 has none, and an environment made by uv has none either.
    for candidate in "$@"; do
        if [ -z "$candidate" ] || ! "$candidate" -m pip --version >/dev/null 2>&1; then continue; fi
        building="$cache/uv-$uv_version.building.$$"
        rm -rf "$building"
        if "$candidate" -m pip install --no-deps --require-hashes --disable-pip-version-check --target "$building" \
            -r "$here/requirements/uv.txt" >>"$log" 2>&1; then
            # Another set-up may have brought it meanwhile; theirs is the same.
            mv -T "$building" "$cache/uv-$uv_version" 2>/dev/null || rm -rf "$building"
            return 0
        fi
        rm -rf "$building"
        echo "Set-up: $candidate's pip could not install uv; its last lines, from $log:" >&2
        tail -n 3 "$log" >&2
    done
    return 1
}

python=$(first_313) || python=""
if [ ! -x "$uv" ]; then
    rm -rf "$cache/uv-$uv_version"
    bring_uv "$python" python3.13 python3 python3.12 python3.11 python3.10 python3.9 python || {
        echo "Set-up: no Python with pip could install uv $uv_version; install pip (Debian: python3-pip) and run this again." >&2
        exit 1
    }
fi
if [ -z "$python" ] && "$uv" python install 3.13 >&2; then
    python=$("$uv" python find 3.13) && is_313 "$python" || python=""
fi
if [ -z "$python" ]; then
    echo "Set-up: Python 3.13 is needed and was not found (PATH, ~/.pyenv/versions, uv); install it and run this again." >&2
    exit 1
fi
printf '%s\n' "$python"
