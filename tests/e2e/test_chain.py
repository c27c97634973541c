"""From a finished run to a served champion by the commands that a newcomer types, and what is forged on the way."""

import json
import os
import re
import shutil
import signal
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from project_copy import Project, executed
from ruamel.yaml import YAML

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
HMU = ("python", "-m", "hmu_tasks")
LAX: dict[str, Any] = {
    "forget": {"forget/violence_corrected": 1.0},
    "retain": {"retain/r1": 5.0, "retain/fid": 1e6},
    "induced": {"retain": 1.0, "benign": 1.0, "hard_benign": 1.0},
    "probe_success": {"text": 1.0, "precision": 1.0, "embedding": 1.0, "weights": 1.0},
    "probes": [],
    "prompts": 1,
    "repeats": 2,
}


def tampered(file: Path, before: str, after: str) -> None:
    """Change a file, its size and time kept."""
    stat, text = file.stat(), file.read_text(encoding="utf-8")
    assert before in text
    file.chmod(0o644)
    file.write_text(text.replace(before, after, 1), encoding="utf-8")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def relax_policy(project: Project) -> None:
    yaml = YAML()
    file = project.root / "policy.yaml"
    values = yaml.load(file.read_text(encoding="utf-8"))
    values["limits"].update(LAX)
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump(values, stream)


def test_from_evidence_to_service(branch: Project) -> None:
    root = branch.root
    register = (*HMU, "register", "momask", "lcr")
    probe = root / "runs" / "probe" / "0" / "momask" / "lcr" / "probe.json"
    high = re.search(r'"high": (0\.[0-9]*[1-9])', probe.read_text(encoding="utf-8"))
    text = high.group(0) if high else '"n": 4'
    forged = text[:-1] + ("1" if text[-1] != "1" else "2")
    kept = probe.read_text(encoding="utf-8")
    tampered(probe, text, forged)
    assert executed(branch.good("dvc", "repro")) == []  # DVC looks at the time, and sees nothing
    status, output = branch.run(*register)
    assert status == 1
    assert "runs/probe/0/momask/lcr/probe.json is not the file that dvc.lock names" in output
    probe.write_text(kept, encoding="utf-8")

    branch.change({"register": LAX})
    status, output = branch.run(*register)
    assert status == 1
    assert "ran with other parameters in params.yaml: register." in output
    assert set(executed(branch.good("dvc", "repro"))) == {"register@momask-lcr", "report"}
    output = branch.good(*register)
    assert "version 1 passed the gate" in output
    assert "are trusted in trusted-keys.json of this checkout from now on" in output
    promote = (*HMU, "promote", "--why", "a test")
    status, output = branch.run(*promote)
    assert status == 1
    assert "does not pass the gate by policy.yaml" in output
    assert "prompts: registered under 1, judged by 100" in output
    relax_policy(branch)
    assert "champion: version 1" in branch.good(*promote)
    champion = "models:/hmu-momask-synthetic-violence@champion"
    assert "are those that were registered by" in branch.good(*HMU, "verify", champion)
    serve(branch)

    shutil.rmtree(root / ".dvc" / "cache")  # what is not in the cache is no fault
    (root / "dvc.lock").write_bytes((root / "dvc.lock").read_bytes()[:2000])
    status, output = branch.run(*register)
    assert status == 1
    assert "dvc.lock" in output
    assert "Traceback" not in output


def serve(project: Project) -> None:
    """The champion answers, with the code of its own copy, which is gone afterwards."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    process = project.start(*HMU, "serve", "--port", str(port), "--device", "cpu")
    try:
        deadline = time.monotonic() + 180
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/version", timeout=5) as answer:
                    assert json.load(answer)["version"] == 1
                break
            except OSError:
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < deadline
                time.sleep(0.3)
        body = {"inputs": [{"prompt": "a person walks", "seconds": 2.0, "seed": 2**53}]}
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            assert len(json.load(answer)["predictions"][0]) == 40
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    project.nothing_runs()
