"""Reports beside the server: the link on a flow run's page opens, and nothing but reports is served."""

import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from lab import free_port, wait_until

from flows.server import reports

ROOT = Path(__file__).resolve().parents[2]
SERVING = """
import sys
from pathlib import Path
from flows.server.reports import serve
serve(Path(sys.argv[1]), int(sys.argv[2]))
print("serving", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(reports.URL_VARIABLE, raising=False)
    for folder in ("reports", "runs/side/reports/a run"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "index.html").write_text(f"the report in {folder}", encoding="utf-8")
    (tmp_path / "params.yaml").write_text("secret", encoding="utf-8")
    return tmp_path


def content(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return str(answer.read().decode())
    except OSError:
        return None


def test_the_link_opens_while_the_server_lives(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port - 1}/api")
    assert reports.address("a run/index.html") is None
    command = [sys.executable, "-c", SERVING, str(root), str(port)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        place = reports.show_checkout(root)
        link = wait_until(lambda: reports.address(place), 30, "the reports")
        assert content(link) == "the report in reports"
        assert content(str(reports.address("a run/index.html"))) == "the report in runs/side/reports/a run"
        assert reports.address("another/index.html") is None  # of another checkout, or gone
        for outside in ("~checkout/../params.yaml", "../../../params.yaml", "..%2f..%2f..%2fparams.yaml"):
            assert content(f"http://127.0.0.1:{port}/{outside}") is None
        server.kill()
    wait_until(lambda: content(link) is None, 30, "the end of the reports' server")


def test_where_there_is_no_link(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://prefect.example.org/api")
    assert reports.address("a run/index.html") is None  # the page is looked at from other machines
    monkeypatch.setenv(reports.URL_VARIABLE, "https://reports.example.org/")
    assert reports.address("a run/index.html") == "https://reports.example.org/a%20run/index.html"
    monkeypatch.setenv(reports.URL_VARIABLE, "javascript:alert(1)")
    assert reports.address("a run/index.html") is None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        reports.serve(root, taken.getsockname()[1])
    assert "reports are not served: port" in capsys.readouterr().err
