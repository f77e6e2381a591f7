#!/bin/sh
# Prints the path of a Python 3.13 that runs. Looks on PATH, in pyenv's versions and among uv's own; when
# there is none, brings the pinned uv with whatever python3 has pip and lets uv install one.
# Nothing but the path goes to standard output.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
cache="${DIRECTUS_LEGAL_BILLING_CACHE:-$HOME/.cache/directus-legal-billing}"
uv_version=$(sed -n 's/^uv==//p' "$here/requirements/uv.in")

is_313() {
    # A pyenv shim exists for versions that are not enabled, so only a run proves it. The real path matters
    # too: SAM refuses shims.
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' >/dev/null 2>&1
}
answer() {
    "$1" -c 'import os, sys; print(os.path.realpath(sys._base_executable))'
    exit 0
}

for candidate in "${PYTHON313:-}" python3.13 "$here/.venv/bin/python" "$HOME"/.pyenv/versions/3.13*/bin/python3.13 \
    "$HOME"/.local/share/uv/python/cpython-3.13*/bin/python3.13 python3 python; do
    [ -n "$candidate" ] || continue
    if is_313 "$candidate"; then answer "$candidate"; fi
done

uv="$cache/uv-$uv_version/bin/uv"
if [ ! -x "$uv" ]; then
    for python in python3 python3.12 python3.11 python3.10 python3.9 python; do
        if "$python" -m pip --version >/dev/null 2>&1; then
            rm -rf "$cache/uv-$uv_version.building"
            mkdir -p "$cache"
            "$python" -m pip install --quiet --require-hashes --no-deps --target "$cache/uv-$uv_version.building" \
                -r "$here/requirements/uv.txt" >&2 && mv "$cache/uv-$uv_version.building" "$cache/uv-$uv_version" && break
        fi
    done
fi
if [ -x "$uv" ] && "$uv" python install 3.13 >&2; then
    found=$("$uv" python find 3.13) && is_313 "$found" && answer "$found"
fi
echo "Python 3.13 is needed and was not found (PATH, ~/.pyenv/versions, uv); install it and run this again." >&2
exit 1
