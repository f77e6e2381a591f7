from pathlib import Path

from local import programs
from local.credentials import Credentials


def test_no_secret_of_the_simulator_is_an_argument(tmp_path: Path) -> None:
    credentials = Credentials.load_or_new(tmp_path / "credentials.json")
    program = programs.stripe_simulator(
        tmp_path / "state.sqlite",
        port=12120,
        credentials=credentials,
        webhook_url="http://127.0.0.1:1/stripe/webhook",
        document=tmp_path / "spec3.json",
    )
    secrets = {credentials.stripe_secret_key, credentials.webhook_secret}
    assert secrets <= set(program.environment.values())
    assert not [part for part in program.arguments if any(secret in part for secret in secrets)]
