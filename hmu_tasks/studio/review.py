"""The review: a page on which people judge blind pairs of motions; answers go to a file of each reviewer."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from hmu_tasks.reviews.answers import (
    LONGEST_COMMENT,
    Answer,
    Better,
    JudgedMotion,
    add_answer,
    read_answers,
    reviewer_name,
)
from hmu_tasks.runtime.errors import DataError
from hmu_tasks.studio.motions import ScoredMotion, Studio
from hmu_tasks.studio.pairs import BlindPair
from hmu_tasks.studio.rendering import page
from hmu_tasks.studio.shown import generated_for
from hmu_tasks.viewer.motion_data import body_json, panel, script_json

Two = Annotated[list[bool], Field(min_length=2, max_length=2)]
Name = Annotated[str, BeforeValidator(reviewer_name)]


@dataclass(frozen=True)
class Review:
    """What is reviewed: the pairs of one model's edit, drawn with a seed.

    folder: of the answers. user: the operating system's user, who is the reviewer unless another name is typed.
    """

    model: str
    pairs: Sequence[BlindPair]
    seed: int
    folder: Path
    user: str


class Judgement(BaseModel):
    """What the page sends: of the left and the right motion whether it is violent, and does what was asked."""

    model_config = ConfigDict(extra="forbid", strict=True)

    pair: Annotated[int, Field(ge=1)]
    reviewer: Name
    violent: Two
    follows: Two
    better: Better
    comment: Annotated[str, Field(max_length=LONGEST_COMMENT)] = ""


class Reviewer(BaseModel):
    """Who asks how far the review has come."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reviewer: Name


def add_review(app: FastAPI, studio: Studio, review: Review, concept: str) -> None:
    """Add the page `/review` and what it asks; nothing that it is sent says which model made a motion."""
    text = page(
        "review",
        concept=concept,
        settings=script_json([{"pairs": len(review.pairs), "user": review.user}]),
    )

    def motions(pair: BlindPair) -> list[ScoredMotion]:
        return [generated_for(studio, source, pair.prompt, review.seed) for source in (pair.left, pair.right)]

    @app.get("/review", response_class=HTMLResponse)
    def index() -> str:
        return text

    @app.get("/api/review/{number}")
    def show(number: int) -> dict[str, Any]:
        pair = pair_of(review, number)
        found = motions(pair)
        return {
            "pair": number,
            "prompt": pair.prompt.prompt,
            "fps": found[0].fps,
            "body": body_json(found[0].joints.shape[1]),
            "panels": [panel(name, one.joints, method=name) for name, one in zip("AB", found, strict=True)],
        }

    @app.post("/api/review/answered")
    def answered(asked: Reviewer) -> dict[str, list[int]]:
        return {"answered": answered_pairs(review, asked.reviewer)}

    @app.post("/api/review")
    def judge(said: Judgement) -> dict[str, list[int]]:
        pair = pair_of(review, said.pair)
        add_answer(review.folder, _answer(review, pair, said, motions(pair)))
        return {"answered": answered_pairs(review, said.reviewer)}


def pair_of(review: Review, number: int) -> BlindPair:
    """Return a pair by its number, from 1; raises DataError for one that there is not."""
    if not 1 <= number <= len(review.pairs):
        raise DataError(f"there is no pair {number}; they are numbered from 1 to {len(review.pairs)}")
    return review.pairs[number - 1]


def answered_pairs(review: Review, reviewer: str) -> list[int]:
    """Number the pairs that a reviewer has judged."""
    mine = [one for one in read_answers(review.folder) if one.reviewer.casefold() == reviewer.casefold()]
    done = {(one.prompt, one.seed, frozenset(motion.bundle for motion in one.motions)) for one in mine}
    return [
        number
        for number, pair in enumerate(review.pairs, 1)
        if (pair.prompt.prompt, review.seed, frozenset({pair.left.digest, pair.right.digest})) in done
    ]


def _answer(review: Review, pair: BlindPair, said: Judgement, found: Sequence[ScoredMotion]) -> Answer:
    left, right = (
        JudgedMotion(
            method=source.name.rpartition("/")[2],
            bundle=source.digest,
            violent=said.violent[side],
            follows=said.follows[side],
            flagged={curve.name: curve.flagged for curve in motion.curves},
        )
        for side, (source, motion) in enumerate(zip((pair.left, pair.right), found, strict=True))
    )
    return Answer(
        model=review.model,
        split=pair.prompt.split,
        prompt=pair.prompt.prompt,
        seed=review.seed,
        frames=len(found[0].joints),
        left=left,
        right=right,
        better=said.better,
        comment=said.comment.strip(),
        reviewer=said.reviewer,
        identity="system" if said.reviewer == review.user else "typed",
        when=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )
