"""How a function runs here: the real Lambda runtime client inside a Lambda-shaped file system.

Each function's zip holds only a `bootstrap`. It starts `awslambdaric` in bubblewrap with the built code at
`/var/task`, the merged layers at `/opt` and the runtime's packages at `/var/runtime`, all read-only, `/tmp`
of its own, and only the variables Lambda would give. Where the kernel forbids namespaces the same client
runs as a plain process (`Mode.PROCESS`): same code and variables, but paths are this machine's.
"""

import hashlib
import io
import os
import shlex
import shutil
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from local.setup.paths import python_environment
from local.supervisor import MARK

GIVEN_BY_LAMBDA: Final = (
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DISABLE_HOST_PREFIX_INJECTION",
    "_HANDLER",
)
"""Variables that the emulator sets per environment and that are passed on when they are set."""

VISIBLE_ETC: Final = (
    "alternatives",
    "ca-certificates",
    "fonts",
    "group",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "passwd",
    "pki",
    "resolv.conf",
    "ssl",
)
"""What of `/etc` the functions see: name resolution, certificates, and fonts for the machine's pango."""

GUARD: Final = ("/usr/bin/setpriv", "--pdeathsig", "KILL")
"""Ends the function with bubblewrap."""

TMP_BYTES: Final = 512 * 1024 * 1024
ZIP_TIME: Final = (2020, 1, 1, 0, 0, 0)


class Mode(StrEnum):
    """How the functions are run on this machine."""

    BUBBLEWRAP = "bubblewrap"
    PROCESS = "plain process"


@dataclass(frozen=True)
class Function:
    """What the sandbox must know of a function; `task` and `layers` are directories of the build.

    `log_level` is empty where Lambda sets none.
    """

    task: Path
    layers: tuple[Path, ...]
    handler: str
    runtime: str
    variables: tuple[str, ...]
    log_format: str
    log_level: str


def available_mode() -> Mode:
    """Start Python in bubblewrap with the bootstrap's own options and return the mode that works here.

    `FUNCTIONS_MODE=process` in the environment asks for plain processes where both would work.
    """
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None or os.environ.get("FUNCTIONS_MODE") == "process":
        return Mode.PROCESS
    python = Path(sys.base_prefix)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    arguments = [part for row in _isolation(python, version) for part in row]
    trial = subprocess.run(
        [bubblewrap, *arguments, *GUARD, f"{python}/bin/python{version}", "-c", ""],
        capture_output=True,
        check=False,
    )
    return Mode.BUBBLEWRAP if trial.returncode == 0 else Mode.PROCESS


def bootstrap(function: Function, *, opt: Path, endpoint_url: str, mode: Mode) -> str:
    """Return the text of a function's `bootstrap`."""
    python = Path(sys.base_prefix)
    version = function.runtime.removeprefix("python")
    packages = f"lib/python{version}/site-packages"
    runtime = python_environment("lambda_runtime")
    inside = mode is Mode.BUBBLEWRAP
    opt_seen = "/opt" if inside else str(opt)
    task_seen = "/var/task" if inside else str(function.task)
    runtime_seen = "/var/runtime" if inside else str(runtime)
    variables = {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        # `snap-start` would make the runtime client ask for a restore that the emulator does not know.
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": function.log_format,
        **({"AWS_LAMBDA_LOG_LEVEL": function.log_level} if function.log_level else {}),
        "LAMBDA_RUNTIME_DIR": runtime_seen,
        "LAMBDA_TASK_ROOT": task_seen,
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": f"{opt_seen}/lib:{task_seen}:{task_seen}/lib",
        "PATH": f"{opt_seen}/bin:{python / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{opt_seen}/python:{runtime_seen}/{packages}",
        "TZ": ":UTC",
    }
    # In the sandbox the parent is bubblewrap. A plain process must not end with its parent, which is a thread of
    # the emulator that ends after each call; and it hides this machine's site-packages by -S.
    guard, option = (f"{shlex.join(GUARD)} ", "") if inside else ("", " -S")
    client = f'{guard}{python}/bin/python{version}{option} -m awslambdaric "$_HANDLER"'
    start = _bubblewrap_lines(function, opt, python, runtime) if inside else _process_lines(function)
    lines = [
        "#!/bin/bash",
        "# Generated: starts the function under the real Lambda runtime client.",
        "set -e",
        "given=()",
        f"for name in {' '.join((*GIVEN_BY_LAMBDA, *function.variables, *(() if inside else (MARK,))))}; do",
        '  [ -n "${!name+set}" ] && given+=('
        + ('--setenv "$name" "${!name}"' if inside else '"$name=${!name}"')
        + ")",
        "done",
        *start,
        *(_setting(inside, name, shlex.quote(value)) for name, value in sorted(variables.items())),
        _setting(inside, "AWS_LAMBDA_LOG_GROUP_NAME", '"/aws/lambda/$AWS_LAMBDA_FUNCTION_NAME"'),
        f"  {client}",
        "",
    ]
    return "\n".join(lines)


def _setting(inside: bool, name: str, quoted: str) -> str:  # noqa: FBT001 - which of two command lines it is for
    return f"  --setenv {name} {quoted} \\" if inside else f"  {name}={quoted} \\"


def _bubblewrap_lines(function: Function, opt: Path, python: Path, runtime: Path) -> list[str]:
    """Return the start of the command line."""
    mounts = [(str(runtime), "/var/runtime"), (str(function.task), "/var/task"), (str(opt), "/opt")]
    return [
        "exec bwrap \\",
        *(f"  {shlex.join(row)} \\" for row in _isolation(python, function.runtime.removeprefix("python"))),
        *(f"  {shlex.join(('--ro-bind', *mount))} \\" for mount in mounts),
        '  --chdir /var/task "${given[@]}" \\',
    ]


def _isolation(python: Path, version: str) -> list[tuple[str, ...]]:
    """Return bubblewrap's options that are the same for every function, and are tried before it is chosen.

    Not `--die-with-parent`: the signal fires when the emulator's spawning *thread* ends, so every call would be
    a cold start. `--as-pid-1` with `setpriv --pdeathsig KILL` inside leaves nothing behind.
    """
    roots = [("--symlink", f"usr/{name}", f"/{name}") for name in ("bin", "lib", "lib64")]
    packages = (
        python / "lib" / f"python{version}" / "site-packages",
        Path("/usr/lib/python3/dist-packages"),
        Path(f"/usr/local/lib/python{version}/dist-packages"),
    )
    return [
        ("--as-pid-1", "--unshare-pid", "--unshare-ipc", "--new-session", "--clearenv"),
        ("--ro-bind", "/usr", "/usr"),
        *roots,
        *(("--ro-bind-try", f"/etc/{name}", f"/etc/{name}") for name in VISIBLE_ETC),
        ("--ro-bind-try", "/var/cache/fontconfig", "/var/cache/fontconfig"),
        ("--proc", "/proc", "--dev", "/dev", "--size", str(TMP_BYTES), "--tmpfs", "/tmp"),  # noqa: S108 - inside
        *([] if python.is_relative_to("/usr") else [("--ro-bind", str(python), str(python))]),
        # Whatever is installed into this machine's Python must not hide a package that the layers lack.
        *(("--tmpfs", str(folder)) for folder in packages if folder.is_dir()),
    ]


def _process_lines(function: Function) -> list[str]:
    return [f"cd {shlex.quote(str(function.task))}", 'exec env -i "${given[@]}" \\']


def merged_layers(layers: Sequence[Path]) -> Path:
    """Return a directory that holds the layers one over the other as `/opt` does, byte-compiled.

    Made once per build and combination, from hard links; later layers win. Compiled because a read-only mount
    cannot keep what Python compiles, and a cold start without it is seconds slower.
    """
    build = layers[0].parent
    key = hashlib.sha256(" ".join(layer.name for layer in layers).encode()).hexdigest()[:12]
    final = build.parent / f"opt-{key}"
    if final.exists():
        return final
    building = build.parent / f"opt-{key}.{os.getpid()}-{threading.get_ident()}.building"
    for layer in layers:
        shutil.copytree(layer, building, copy_function=_link, dirs_exist_ok=True, symlinks=True)
    # A program of its own: workers of this process would run the caller's main module again.
    subprocess.run(
        [
            *(sys.executable, "-m", "compileall", "-q", "-j2", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(building), "-p", "/opt", str(building / "python")),
        ],
        stdout=subprocess.DEVNULL,
        check=False,  # some packages ship templates that are not Python
    )
    try:
        building.rename(final)
    except OSError:
        # Another stack merged the same layers meanwhile; theirs is the same.
        if not final.exists():
            raise
        shutil.rmtree(building)
    return final


def _link(source: str, target: str) -> str:
    Path(target).unlink(missing_ok=True)
    os.link(source, target)
    return target


def bootstrap_zip(script: str) -> bytes:
    """Return the zip that is uploaded as the function's code: the same bytes for the same script."""
    return _zip("bootstrap", script.encode(), 0o755)


def placeholder_zip() -> bytes:
    """Return what is uploaded as a layer: the sandbox mounts the built layer itself."""
    return _zip("mounted-by-the-sandbox", b"", 0o644)


def _zip(name: str, content: bytes, permissions: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo(name, ZIP_TIME)
        entry.external_attr = (stat.S_IFREG | permissions) << 16
        archive.writestr(entry, content)
    return buffer.getvalue()
