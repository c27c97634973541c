"""The demo's answers: motions, files, and one sentence for whatever is wrong with a request."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from tiny_world import tiny_params

from hmu_tasks.studio.opening import open_here
from hmu_tasks.studio.server import demo_app

ASKED: dict[str, Any] = {"prompt": "a man kicks", "models": ["lcr", "original"], "seconds": 2.0, "seed": 5}


@pytest.fixture(scope="module")
def client(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(finished)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        studio, known = open_here(tiny_params(), tmp_path_factory.mktemp("scratch"))
        yield TestClient(demo_app(studio, known, concept="violence"), raise_server_exceptions=False)


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert 'value="lcr" checked' in answer.text


def test_motions_come_packed_with_their_scores(client: TestClient) -> None:
    found = client.post("/api/motions", json=ASKED).json()
    assert [panel["method"] for panel in found["panels"]] == ["lcr", "original"]
    first = found["panels"][0]
    joints = np.frombuffer(base64.b64decode(first["data"]), "<i2").reshape(first["frames"], 22, 3)
    assert first["frames"] == 40
    assert np.abs(joints).max() > 0
    assert len(base64.b64decode(first["score"]["data"])) == 40
    assert 0.5 <= first["score"]["threshold"] <= 1
    assert found["body"]["names"][0] == "pelvis"


def test_the_length_may_be_left_to_the_model(client: TestClient) -> None:
    for seconds in (None, ""):
        answer = client.post("/api/motions", json={**ASKED, "seconds": seconds})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("bvh", b"HIERARCHY"),
        ("glb", b"glTF"),
        ("gif", b"GIF89a"),
        ("mp4", b"\x00\x00\x00"),
        ("npz", b"PK"),
        ("png", b"\x89PNG"),
    ],
)
def test_files_come_as_attachments(client: TestClient, kind: str, start: bytes) -> None:
    query = {"prompt": "a man kicks", "model": ["lcr"], "seconds": "2", "seed": "5"}
    answer = client.get(f"/api/file/{kind}", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(start)
    assert answer.headers["content-disposition"] == f'attachment; filename="a-man-kicks-lcr.{kind}"'


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prompt": " "}, "has no word that the text encoder reads"),
        ({"prompt": 7}, "the prompt must be text"),
        ({"prompt": "x" * 401}, "at most 400"),
        ({"models": []}, "choose one to 3 models"),
        ({"models": ["lcr"] * 4}, "choose one to 3 models"),
        ({"models": ["elsewhere"]}, "there is no model 'elsewhere'"),
        ({"models": ["../../etc"]}, "there is no model"),
        ({"seconds": "long"}, "the length must be a number"),
        ({"seconds": 0}, "the length must be a number"),
        ({"seconds": 20}, "motions last 2 to 9.8 s"),
        ({"seed": -1}, "the seed must be a whole number"),
        ({"seed": 1.5}, "the seed must be a whole number"),
        ({"more": 1}, "more: "),
    ],
)
def test_a_bad_request_is_told_in_one_sentence(
    client: TestClient, changes: dict[str, Any], words: str
) -> None:
    answer = client.post("/api/motions", json=ASKED | changes)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_what_is_no_json_and_an_unknown_file_are_told(client: TestClient) -> None:
    broken = client.post("/api/motions", content="{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["error"]) == (400, "the request is not JSON")
    unknown = client.get("/api/file/exe", params={"prompt": "walk", "model": "lcr"})
    assert unknown.status_code == 400
    assert "choose from gif, mp4, png, npz, bvh, glb" in unknown.json()["error"]
    seed = client.get("/api/file/gif", params={"prompt": "walk", "model": "lcr", "seed": "x"})
    assert (seed.status_code, "seed" in seed.json()["error"]) == (400, True)


def test_another_hosts_name_is_refused(client: TestClient) -> None:
    assert client.get("/", headers={"host": "example.com"}).status_code == 400
