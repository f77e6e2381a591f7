"""The local stack from the command line.

python -m local up [--directory .local] [--fresh]
python -m local down | status [--directory .local]
"""

import argparse
import sys
import time
from pathlib import Path

from local.problem import Problem
from local.setup.paths import ROOT
from local.stack import Stack


def main(arguments: list[str]) -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="local", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "status"])
    parser.add_argument("--directory", type=Path, default=ROOT / ".local")
    parser.add_argument("--fresh", action="store_true", help="up: begin with empty data")
    given = parser.parse_args(arguments)
    stack = Stack(given.directory, say=lambda line: print(line, flush=True))
    commands = {
        "up": lambda: _up(stack, fresh=given.fresh),
        "down": lambda: _down(stack),
        "status": lambda: _status(stack),
    }
    try:
        return commands[given.command]()
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return 130


def _up(stack: Stack, *, fresh: bool) -> int:
    began = time.monotonic()
    print(f"Starting the local stack in {stack.directory}.")
    stack.up(fresh=fresh)
    description = stack.description()
    print(f"The stack is ready after {time.monotonic() - began:.1f} s:")
    directus = description["directus"]
    print(f"  Directus    {directus['url']}  ({directus['admin_email']} / {directus['admin_password']})")
    print(f"  functions   {description['functions']['api_url']}")
    print(f"  Stripe      {description['stripe']['api_base']}  (simulator)")
    print(f"  e-mail      {description['mail']['url']}")
    print(f"  AWS         {description['aws']['endpoint_url']}  (emulator)")
    print(f"  everything  {stack.directory / 'stack.json'}; logs in {stack.directory / 'logs'}")
    print("Stop it with make down.")
    return 0


def _down(stack: Stack) -> int:
    stopped = stack.running()
    stack.down()
    print(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")
    return 0


def _status(stack: Stack) -> int:
    running = stack.running()
    print(f"Running: {', '.join(running)}." if running else f"No stack runs in {stack.directory}.")
    return 0 if running else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
