"""The pinned Prefect: FastAPI suits it, which pip's resolver does not see, and it has the settings that we use."""

import subprocess
import sys

from prefect_settings import setting_names

from flows.server.temporary import WITHOUT


def test_the_prefect_server_can_be_imported() -> None:
    code = "from prefect.server.api.server import create_app; print(type(create_app()).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "FastAPI", done.stderr


def test_the_services_that_a_temporary_server_does_without_have_their_names() -> None:
    assert set(WITHOUT) <= setting_names()
