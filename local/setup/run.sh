#!/bin/sh
# The set-up of this checkout; see local/setup/__main__.py for what can be asked for.
set -eu
cd "$(dirname "$0")/../.."
python=$(sh local/setup/python.sh)
exec "$python" -m local.setup "$@"
