#!/bin/sh
# All checks and the five levels of tests. The stack that the tests start lives in a directory of its own and
# is stopped whatever happens; `.local/` is not touched.
set -eu
cd "$(dirname "$0")/.."
python=.venv/bin/python
BILLING_TEST_DIRECTORY=$(mktemp -d "${TMPDIR:-/tmp}/directus-legal-billing-test.XXXXXX")
export BILLING_TEST_DIRECTORY
clean_up() {
    code=$?
    trap - EXIT INT TERM HUP
    if [ -e "$BILLING_TEST_DIRECTORY/stack/lock" ]; then
        "$python" -m local down --directory "$BILLING_TEST_DIRECTORY/stack" || true
    fi
    if [ "$code" -ne 0 ] && [ -d "$BILLING_TEST_DIRECTORY/stack/logs" ]; then
        rm -rf .test-logs
        cp -R "$BILLING_TEST_DIRECTORY/stack/logs" .test-logs
        echo "The logs of the tests' stack were kept in .test-logs." >&2
    fi
    rm -rf "$BILLING_TEST_DIRECTORY"
    exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

"$python" -m local.check
"$python" -m pytest -q -n 2 tests/unit
if reason=$("$python" -m tests.clean_room.available); then
    clean_room=tests/clean_room
else
    clean_room=
    echo "The clean room's tests of the PDF layer cannot run on this machine: $reason."
fi
# Three processes, also on two processors: the deployed stack, Directus on PostgreSQL and Directus on SQLite wait for
# programs of their own half of the time. tests/distribution.py says who takes what; the stack's tests are the longest.
# shellcheck disable=SC2086 # an empty name is no argument
"$python" -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder tests/e2e $clean_room tests/integration tests/security
