"""Reports of a checkout, served beside its Prefect server so that the link on a flow run's page opens.

A browser follows no link to a file. `make server` serves runs/side/reports, and nothing else, on 127.0.0.1 and the port
after its own; where other machines look at the page, HMU_REPORTS_URL names the address at which that folder is served.
"""

import hashlib
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import quote, urlsplit

from flows.engine.guard import GUARD
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.ports import require_free

URL_VARIABLE = "HMU_REPORTS_URL"
"""URL at which runs/side/reports is served; set to nothing, there are no links."""
FOLDER = Path("runs", "side", "reports")
CHECKOUT = "~checkout"
"""Name in that folder of the report of the checkout itself; no experiment or branch can have it."""
_LOOPBACK = "127.0.0.1"


def serve(root: Path, port: int) -> None:
    """Serve the reports of a checkout on a port of this machine until this process ends.

    A port that is taken is told and leaves the links out.
    """
    try:
        require_free(_LOOPBACK, port)
    except HmuError as error:
        sys.stderr.write(f"reports are not served: {error}\n")
        return
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    show_checkout(root)
    command = [
        sys.executable,
        "-m",
        "http.server",
        "--bind",
        _LOOPBACK,
        "--directory",
        str(folder),
        str(port),
    ]
    subprocess.Popen(
        [*GUARD, "--", *command],
        cwd=root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def show_checkout(root: Path) -> str:
    """Put the checkout's own report among those that are served; returns its place there.

    The name holds a digest of the checkout's folder, for the server beside which it is asked for may be another's.
    """
    name = f"{CHECKOUT}-{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]}"
    link = root / FOLDER / name
    if not link.is_symlink() and not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path("..", "..", "..") / paths.REPORTS)
    return f"{name}/index.html"


def address(served: str) -> str | None:
    """Return the address of a page in the served folder; None where nothing serves it.

    Beside a server on this machine the page is asked for, as another checkout's may be served there.
    """
    given = os.environ.get(URL_VARIABLE)
    if given is not None:
        return f"{given.rstrip('/')}/{quote(served)}" if given.startswith(("http://", "https://")) else None
    api = urlsplit(os.environ.get("PREFECT_API_URL", ""))
    if api.hostname not in {_LOOPBACK, "localhost"} or api.port is None:
        return None
    url = f"http://{_LOOPBACK}:{api.port + 1}/{quote(served)}"
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=3).close()
    except (OSError, ValueError):
        return None
    return url
