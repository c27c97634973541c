"""The settings that the installed Prefect knows, asked in a process of its own: importing Prefect reads them."""

import subprocess
import sys


def setting_names() -> set[str]:
    """Names of all environment variables that Prefect reads."""
    code = (
        "from prefect.settings import Settings\n"
        "from prefect.settings.legacy import _get_valid_setting_names as names\n"
        "print(*names(Settings))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
