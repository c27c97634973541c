"""The pinned FastAPI suits the pinned Prefect: pip's resolver does not see when it does not."""

import subprocess
import sys


def test_the_prefect_server_can_be_imported() -> None:
    code = "from prefect.server.api.server import create_app; print(type(create_app()).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "FastAPI", done.stderr
