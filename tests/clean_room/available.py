"""Ends with 0 where a clean room can be made on this machine, else says why not and ends with 1.

python -m tests.clean_room.available
"""

import sys

from tests.clean_room.room import why_not

if __name__ == "__main__":
    reason = why_not()
    if reason is not None:
        sys.stdout.write(f"{reason}\n")
    sys.exit(reason is not None)
