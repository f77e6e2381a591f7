import stat
from dataclasses import asdict
from pathlib import Path

from local.credentials import Credentials, write_private


def test_credentials_are_drawn_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "data" / "credentials.json"
    first = Credentials.load_or_new(path)
    assert Credentials.load_or_new(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_stacks_share_no_secret() -> None:
    one, other = asdict(Credentials.new()), asdict(Credentials.new())
    same = {name for name, value in one.items() if value and other[name] == value}
    assert same == {"admin_email"}


def test_keys_look_like_what_they_stand_for() -> None:
    credentials = Credentials.new()
    assert credentials.stripe_secret_key.startswith("sk_test_")
    assert credentials.webhook_secret.startswith("whsec_")
    assert len(credentials.directus_secret) >= 32


def test_a_private_file_replaces_a_readable_one(tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["stack.json"]
