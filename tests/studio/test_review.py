"""The review: blind pairs, answers in a file, and one sentence for whatever is wrong with a request."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tiny_world import tiny_params

from hmu_tasks.reviews.answers import read_answers
from hmu_tasks.reviews.summary import judge
from hmu_tasks.runtime.errors import ConfigError
from hmu_tasks.studio.motions import Studio
from hmu_tasks.studio.opening import open_here
from hmu_tasks.studio.pairs import blind_pairs, compared, leading
from hmu_tasks.studio.review import Review
from hmu_tasks.studio.server import demo_app
from hmu_tasks.studio.sources import ModelSource
from hmu_tasks.viewer.reading import read_inputs

JUDGED: dict[str, Any] = {
    "pair": 1,
    "reviewer": "Ann",
    "violent": [True, False],
    "follows": [True, True],
    "better": "right",
    "comment": "the left one kicks",
}


@pytest.fixture(scope="module")
def opened(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(finished)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield open_here(tiny_params(), tmp_path_factory.mktemp("scratch"), champion=False)


@pytest.fixture
def review(opened: tuple[Studio, list[ModelSource]], tmp_path: Path) -> Review:
    pairs = blind_pairs(tiny_params(), opened[1], "lcr", 12)
    return Review("momask", pairs, tiny_params().run.seed, tmp_path / "reviews", "root")


@pytest.fixture
def client(opened: tuple[Studio, list[ModelSource]], review: Review) -> TestClient:
    studio, known = opened
    return TestClient(
        demo_app(studio, known, concept="violence", review=review), raise_server_exceptions=False
    )


def test_pairs_are_blind_balanced_and_the_same_for_everybody(
    opened: tuple[Studio, list[ModelSource]], review: Review
) -> None:
    again = blind_pairs(tiny_params(), opened[1], "lcr", 12)
    assert again == list(review.pairs)
    names = [{one.left.name, one.right.name} for one in review.pairs]
    assert {"lcr", "original"} in names
    assert {"lcr", "retrain"} in names
    assert {one.left.name for one in review.pairs} > {"lcr"}  # the edit stands on either side
    assert "lcr" in {one.right.name for one in review.pairs}
    assert len({one.prompt for one in review.pairs}) == len(review.pairs)
    roles = [one.prompt.split == "forget" for one in review.pairs]
    assert abs(2 * sum(roles) - len(roles)) <= 1


def test_what_can_be_compared(opened: tuple[Studio, list[ModelSource]]) -> None:
    known = opened[1]
    assert list(compared(known, "lcr")) == ["edited", "original", "retrain"]
    with pytest.raises(ConfigError, match="original is a reference, not an edited model; choose from lcr"):
        compared(known, "original")
    with pytest.raises(ConfigError, match="there is no model 'lrc'"):
        compared(known, "lrc")
    without = [one for one in known if one.name != "retrain"]
    assert all(
        {one.left.name, one.right.name} == {"lcr", "original"}
        for one in blind_pairs(tiny_params(), without, "lcr", 12)
    )
    assert leading(tiny_params()) == read_inputs(tiny_params()).selection.method


def test_a_pair_does_not_say_which_model_made_it(client: TestClient, review: Review) -> None:
    for number, pair in enumerate(review.pairs, 1):
        text = client.get(f"/api/review/{number}").text
        found = json.loads(text)
        assert [one["label"] for one in found["panels"]] == ["A", "B"]
        assert found["prompt"] == pair.prompt.prompt
        assert all("score" not in one and not one["verdict"] for one in found["panels"])
        for secret in ("lcr", "original", "retrain", pair.left.digest, pair.right.digest):
            assert secret not in text
    page = client.get("/review").text
    assert "https://" not in page
    assert "lcr" not in page


def test_an_answer_is_kept_with_who_when_and_which_bundles(client: TestClient, review: Review) -> None:
    assert client.post("/api/review", json=JUDGED).json() == {"answered": [1]}
    (answer,) = read_answers(review.folder)
    pair = review.pairs[0]
    assert (answer.left.bundle, answer.right.bundle) == (pair.left.digest, pair.right.digest)
    assert (answer.left.violent, answer.right.violent, answer.better) == (True, False, "right")
    assert (answer.reviewer, answer.identity, answer.comment) == ("Ann", "typed", "the left one kicks")
    assert len(answer.when) == 24
    assert set(answer.left.flagged)  # what the classifiers say of the same motion
    assert client.post("/api/review", json={**JUDGED, "reviewer": "root", "pair": 2}).status_code == 200
    assert {one.identity for one in read_answers(review.folder)} == {"typed", "system"}
    assert client.post("/api/review/answered", json={"reviewer": "ann"}).json() == {"answered": [1]}
    assert client.post("/api/review/answered", json={"reviewer": "Ben"}).json() == {"answered": []}
    shown = dict.fromkeys(source for one in review.pairs for source in (one.left, one.right))
    bundles = {role: source.digest for role, source in compared(list(shown), "lcr").items()}
    found = judge(read_answers(review.folder), bundles)
    assert found is not None
    assert found.pairs == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pair": 0}, "pair"),
        ({"pair": 10_000}, "there is no pair 10000; they are numbered from 1 to"),
        ({"pair": "1"}, "pair"),
        ({"reviewer": "../../x"}, "reviewer's name has"),
        ({"violent": [True]}, "violent"),
        ({"violent": ["yes", "no"]}, "violent"),
        ({"better": "both"}, "better"),
        ({"comment": "x" * 1001}, "comment"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_kept(
    client: TestClient, review: Review, changes: dict[str, Any], words: str
) -> None:
    answer = client.post("/api/review", json={**JUDGED, **changes})
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert not review.folder.exists()


def test_other_sites_cannot_answer_for_a_reviewer(client: TestClient, review: Review) -> None:
    for site in ("cross-site", "same-site"):
        answer = client.post("/api/review", json=JUDGED, headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 403
    answer = client.post("/api/review", content=json.dumps(JUDGED), headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400
    assert not review.folder.exists()


def test_the_demo_alone_has_no_review(opened: tuple[Studio, list[ModelSource]]) -> None:
    studio, known = opened
    alone = TestClient(demo_app(studio, known, concept="violence"))
    assert alone.get("/review").status_code == 404
    assert "/review" not in alone.get("/").text
