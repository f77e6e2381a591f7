#!/bin/sh
# Debian packages for what no wheel brings: apt.sh <stack|tests|bench> [compilers]
# Installs with apt-get what is missing; where this user may not, says what an administrator must install.
set -eu
missing= reasons= required=

# need <package> <how to see that it is there> <what for> [optional]; seen by a library, files, or one of some programs
need() {
    case $2 in
    lib*.so) ! PATH=$PATH:/sbin:/usr/sbin ldconfig -p | grep -q "$2" || return 0 ;;
    /*) for file in $2; do [ ! -e "$file" ] || return 0; done ;;
    *) for program in $2; do ! command -v "$program" >/dev/null || return 0; done ;;
    esac
    missing="$missing $1"
    reasons="$reasons${reasons:+; }$1 ($3)"
    required="$required${4:-required}"
}

need make make "sam build of the layers"
need binutils readelf "the PDF layer's gates" optional
need util-linux setpriv "functions that end with the emulator"
need bubblewrap bwrap "the functions' sandbox" optional
need libpango-1.0-0 libpango-1.0.so "PDF rendering"
need libpangoft2-1.0-0 libpangoft2-1.0.so "PDF rendering"
need libharfbuzz-subset0 libharfbuzz-subset.so "PDF rendering"
need fontconfig fc-match "PDF rendering"
need fonts-inter "/usr/share/fonts/*/inter/Inter-*" "the invoice's typeface"
need fonts-droid-fallback "/usr/share/fonts/*/droid/DroidSansFallbackFull.ttf" "names in Chinese and Japanese"
need fonts-dejavu-core "/usr/share/fonts/*/dejavu/DejaVuSans.ttf" "PDF rendering"
if [ "${2:-}" = compilers ]; then
    # Directus is to be built: isolated-vm and sqlite3 are compiled where npm brings no built ones.
    need g++ g++ "Directus's native modules" optional
    need python3 python3 "node-gyp, which compiles them" optional
fi
[ "$1" = stack ] || need chromium "chromium chromium-browser" "the browser tests and the benchmark"
if [ "$1" = tests ]; then
    need poppler-utils pdftoppm "the PDF tests"
    need qpdf qpdf "the PDF tests"
    need postgresql "/usr/lib/postgresql/*/bin/initdb /usr/local/pgsql/bin/initdb" "the tests of Directus on PostgreSQL"
fi
[ -n "$missing" ] || exit 0

as_root=
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if ! command -v apt-get >/dev/null || ! $as_root true 2>/dev/null; then
    echo "  These system packages are missing and only an administrator can install them: $reasons." >&2
    case $required in *required*) exit 1 ;; esac
    echo "  Going on without." >&2
    exit 0
fi
echo "  Debian packages$missing"
install() {
    # shellcheck disable=SC2086 # several words each
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
}
log=${TMPDIR:-/tmp}/apt.$$
trap 'rm -f "$log"' EXIT
# Without package lists, or with old ones, the first attempt fails.
if ! install >"$log" 2>&1 && ! { $as_root apt-get update && install; } >"$log" 2>&1; then
    tail -n 12 "$log" | sed 's/^/    /' >&2
    echo "Set-up: apt-get could not install$missing." >&2
    exit 1
fi
