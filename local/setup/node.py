"""Node 22 and Directus, built once per lock file and Node ABI.

Facts behind the order: native modules (isolated-vm, sqlite3) are compiled against the headers npm finds.
With Node 22 first on PATH but headers of the machine's Node they compile and fail only when loaded, so
`npm_config_nodedir` points to Node 22's own headers for every npm call, and loading them is the proof.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from local.problem import Problem
from local.setup.commands import run
from local.setup.paths import NODE_ABI, ROOT, directus_tree, node_directory, node_tree
from local.setup.progress import Progress

NPM_OPTIONS: Final = ("--no-audit", "--no-fund", "--no-update-notifier")
PROOF: Final = (
    "require('isolated-vm'); require('sqlite3');"
    f" if (process.versions.modules !== '{NODE_ABI}') throw new Error('Node ABI ' + process.versions.modules)"
)


def node_environment() -> dict[str, str]:
    """Return the variables with which Node 22 is found first and its headers are used."""
    node = node_directory()
    return {
        "PATH": f"{node / 'bin'}:{os.environ.get('PATH', '')}",
        "npm_config_nodedir": str(node),
        "npm_config_update_notifier": "false",
    }


def install_node(progress: Progress) -> None:
    """Install Node 22 from npm's platform packages (what the package `node@22` installs), by hash."""
    if (node_directory() / "bin/node").exists():
        return
    if not shutil.which("npm"):
        raise Problem(
            "npm is needed to install Node 22 and Directus and was not found; install Node.js with npm (any version)"
            " and run this again."
        )
    with progress.step("Node 22"):
        _build(ROOT / "local/node", node_tree(), ("--ignore-scripts",), {}, log="node")
        program = node_directory() / "bin/node"
        if not program.exists():
            shutil.rmtree(node_tree(), ignore_errors=True)
            raise Problem(f"npm brought no Node 22 for this machine ({program.parent.parent.name}).")


def install_directus(progress: Progress) -> None:
    """Install Directus with its native modules built for Node 22."""
    if directus_tree().exists():
        return
    with progress.step("Directus (several minutes the first time: native modules are compiled)"):
        _build(ROOT / "local/directus", directus_tree(), (), node_environment(), log="directus", prove=True)


def _build(
    source: Path,
    final: Path,
    options: tuple[str, ...],
    environment: dict[str, str],
    *,
    log: str,
    prove: bool = False,
) -> None:
    """Run `npm ci` in a directory beside `final` and rename it when it is whole."""
    building = final.with_name(f"{final.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, building / name)
    run(
        ["npm", "ci", *NPM_OPTIONS, *options],
        cwd=building,
        environment=environment,
        log=log,
        sentence=f"npm could not install {log}.",
    )
    if prove:
        _prove(building, environment)
    building.rename(final)


def _prove(tree: Path, environment: dict[str, str]) -> None:
    outcome = subprocess.run(
        ["node", "-e", PROOF],
        cwd=tree,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode:
        raise Problem(
            f"Directus was installed but its native modules do not load under Node 22:\n{outcome.stderr.strip()[-800:]}"
        )
