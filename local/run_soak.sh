#!/bin/sh
# The proofs at the sizes the issues name, on SQLite and PostgreSQL, in a directory of their own; then a table of what
# was run. `make soak` runs all parts, two to three hours on two processors; each can be run alone, after a set-up for
# the tests (`sh local/setup/run.sh tests`):
#
#   sh local/run_soak.sh properties     Hypothesis: state machines and properties, thousands of examples
#   sh local/run_soak.sh concurrency    the money path on a real Directus: 50 at once, every crash point
#   sh local/run_soak.sh killed         Directus and others killed in the middle of BILLING_SOAK_PAYMENTS (500) payments
#   sh local/run_soak.sh documents      documents uploaded (Directus Cloud), workers killed; a firm's own template
#   sh local/run_soak.sh bulk           BILLING_SOAK_INVOICES (1000) invoices sent at once: each gets its PDF
#   sh local/run_soak.sh questions      BILLING_SOAK_QUESTIONS (50000) questions about hidden rows, in each role
#   sh local/run_soak.sh burst          five deliveries each for BILLING_BENCH_PAYMENTS (2000) payments
#
# Exit code 1 if any part failed. Every stack is stopped whatever happens; `.local/` is not touched.
set -u
cd "$(dirname "$0")/.." || exit 1
python=.venv/bin/python
parts=${*:-properties concurrency questions killed documents bulk burst}
for part in $parts; do
    case $part in
    properties | concurrency | questions | killed | documents | bulk | burst) ;;
    *)
        echo "There is no part $part; there are properties, concurrency, questions, killed, documents, bulk, burst." >&2
        exit 2
        ;;
    esac
done
directory=$(mktemp -d "${TMPDIR:-/tmp}/directus-legal-billing-soak.XXXXXX") || exit 1
# PostgreSQL refuses root; the user that runs it instead must get through to its own directory in there.
chmod 711 "$directory"
mkdir "$directory/tmp" && chmod 711 "$directory/tmp"
TMPDIR=$directory/tmp
BILLING_SOAK=1
BILLING_SOAK_PAYMENTS=${BILLING_SOAK_PAYMENTS:-500}
BILLING_SOAK_INVOICES=${BILLING_SOAK_INVOICES:-1000}
BILLING_SOAK_QUESTIONS=${BILLING_SOAK_QUESTIONS:-50000}
BILLING_BENCH_PAYMENTS=${BILLING_BENCH_PAYMENTS:-2000}
HYPOTHESIS_PROFILE=soak
export TMPDIR BILLING_SOAK BILLING_SOAK_PAYMENTS BILLING_SOAK_INVOICES BILLING_SOAK_QUESTIONS BILLING_BENCH_PAYMENTS HYPOTHESIS_PROFILE
failed=0
table=$directory/table
: >"$table"

stop_stacks() {
    for lock in "$directory"/*/lock "$directory"/*/*/lock; do
        [ -e "$lock" ] || continue
        stack=$(dirname "$lock")
        "$python" -m local down --directory "$stack" >/dev/null || true
    done
}
print_table() {
    [ -s "$table" ] || return
    printf '\n%-58s %26s %9s   %s\n' "make soak" size seconds result
    cat "$table"
}
clean_up() {
    code=$?
    trap - EXIT INT TERM HUP
    stop_stacks
    print_table
    if [ "$code" -ne 0 ]; then
        rm -rf .test-logs
        for logs in "$directory"/*/logs "$directory"/*/*/logs; do
            [ -d "$logs" ] || continue
            mkdir -p .test-logs
            cp -R "$logs" ".test-logs/$(basename "$(dirname "$logs")")"
        done
        [ ! -d .test-logs ] || echo "The logs of the stacks were kept in .test-logs." >&2
    fi
    rm -rf "$directory"
    exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# run <what> <size> <command ...>
run() {
    what=$1 size=$2
    shift 2
    printf '\n=== %s: %s\n' "$what" "$size"
    began=$(date +%s)
    if "$@"; then result=passed; else result=FAILED failed=1; fi
    printf '%-58s %26s %9d   %s\n' "$what" "$size" $(($(date +%s) - began)) "$result" >>"$table"
}

for part in $parts; do
    case $part in
    properties)
        run "state machines and properties (Hypothesis)" "2000 examples each" \
            "$python" -m pytest -q -n 2 -m hypothesis tests/unit tests/integration
        run "every order of a payment's events" "720 orders each" \
            "$python" -m pytest -q -n 2 tests/unit/payments/test_reversals_in_any_order.py
        ;;
    concurrency)
        run "concurrency and crash points, both databases" "50 at once" \
            "$python" -m pytest -q tests/integration/payments
        ;;
    questions)
        run "questions about hidden rows, both databases" "$BILLING_SOAK_QUESTIONS questions" \
            "$python" -m pytest -q -s tests/security/directus/test_questions.py
        ;;
    killed)
        for database in sqlite postgresql; do
            BILLING_TEST_DIRECTORY=$directory/killed-$database
            export BILLING_TEST_DIRECTORY
            mkdir -m 711 "$BILLING_TEST_DIRECTORY"
            run "programs killed amid payments, $database" "$BILLING_SOAK_PAYMENTS payments" \
                "$python" -m pytest -q -s -k "$database" tests/soak/test_directus_killed.py
        done
        ;;
    documents)
        BILLING_TEST_DIRECTORY=$directory/documents
        export BILLING_TEST_DIRECTORY
        mkdir -m 711 "$BILLING_TEST_DIRECTORY"
        run "documents uploaded, both databases" "every crash point" \
            "$python" -m pytest -q -s tests/soak/test_documents_uploaded.py
        run "a firm's own template" "used, broken, mended" \
            "$python" -m pytest -q -s tests/soak/test_documents_letterhead.py
        ;;
    bulk)
        for database in sqlite postgresql; do
            BILLING_TEST_DIRECTORY=$directory/bulk-$database
            export BILLING_TEST_DIRECTORY
            mkdir -m 711 "$BILLING_TEST_DIRECTORY"
            run "invoices sent at once, $database" "$BILLING_SOAK_INVOICES invoices" \
                "$python" -m pytest -q -s -k "$database" tests/soak/test_bulk_sending.py
        done
        ;;
    burst)
        for database in sqlite postgresql; do
            BILLING_TEST_DIRECTORY=$directory/burst-$database
            DIRECTUS_DATABASE=$database
            export BILLING_TEST_DIRECTORY DIRECTUS_DATABASE
            mkdir -m 711 "$BILLING_TEST_DIRECTORY"
            run "burst of deliveries, $database" "$BILLING_BENCH_PAYMENTS payments" \
                "$python" -m bench burst
            unset DIRECTUS_DATABASE
        done
        ;;
    esac
done
exit "$failed"
