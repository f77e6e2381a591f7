import json
import socket
from pathlib import Path

import pytest

from local.ports import HOST, choose_ports, is_free
from local.problem import Problem


def _listening() -> socket.socket:
    server = socket.socket()
    server.bind((HOST, 0))
    server.listen()
    return server


def test_ports_are_free_distinct_and_kept(tmp_path: Path) -> None:
    kept = tmp_path / "ports.json"
    first = choose_ports(["a", "b", "c"], kept, environment={})

    assert len(set(first.values())) == 3
    assert all(is_free(port) for port in first.values())
    assert choose_ports(["a", "b", "c"], kept, environment={}) == first


def test_a_kept_port_that_somebody_else_took_is_replaced(tmp_path: Path) -> None:
    kept = tmp_path / "ports.json"
    with _listening() as server:
        port = server.getsockname()[1]
        kept.write_text(json.dumps({"a": port}))
        assert choose_ports(["a"], kept, environment={})["a"] != port


def test_the_port_of_a_running_program_is_kept_though_it_is_taken(tmp_path: Path) -> None:
    kept = tmp_path / "ports.json"
    with _listening() as server:
        port = server.getsockname()[1]
        kept.write_text(json.dumps({"a": port}))
        assert choose_ports(["a"], kept, running=["a"], environment={}) == {"a": port}


def test_the_environment_decides(tmp_path: Path) -> None:
    with _listening() as server:
        port = server.getsockname()[1]
    assert choose_ports(["directus"], tmp_path / "p", environment={"DIRECTUS_PORT": str(port)}) == {
        "directus": port
    }


def test_a_taken_port_from_the_environment_is_one_plain_sentence(tmp_path: Path) -> None:
    with _listening() as server:
        port = server.getsockname()[1]
        with pytest.raises(Problem) as caught:
            choose_ports(["directus"], tmp_path / "p", environment={"DIRECTUS_PORT": str(port)})
    assert str(caught.value) == (
        f"Port {port} (DIRECTUS_PORT) is taken by another program; choose another or stop it."
    )


@pytest.mark.parametrize("value", ["", "eighty", "0", "65536", "-1", "80.5"])
def test_what_is_no_port_number_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(Problem, match="not a port number"):
        choose_ports(["directus"], tmp_path / "p", environment={"DIRECTUS_PORT": value})
