"""Answers are kept whole, one line each, and bad ones are named."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hmu_tasks.reviews.answers import Answer, JudgedMotion, add_answer, read_answers, reviewer_name
from hmu_tasks.runtime.errors import DataError


def answer(**changes: Any) -> Answer:
    left = JudgedMotion(method="original", bundle="o" * 64, violent=True, follows=True, flagged={"cnn": True})
    right = JudgedMotion(method="prune", bundle="e" * 64, violent=False, follows=True, flagged={"cnn": False})
    values: dict[str, Any] = {
        "model": "momask",
        "split": "forget",
        "prompt": "a man kicks",
        "seed": 0,
        "frames": 60,
        "left": left,
        "right": right,
        "better": "same",
        "reviewer": "Ann",
        "identity": "typed",
        "when": "2026-01-02T03:04:05+0000",
    }
    return Answer.model_validate(values | changes)


def test_the_last_answer_to_a_pair_counts_whichever_side(tmp_path: Path) -> None:
    first = answer()
    add_answer(tmp_path, first)
    add_answer(tmp_path, answer(prompt="a man bows"))
    later = answer(left=first.right, right=first.left, better="left", reviewer="ann")
    assert add_answer(tmp_path, later) == tmp_path / "ann.jsonl"
    found = read_answers(tmp_path)
    assert [one.prompt for one in found] == ["a man kicks", "a man bows"]
    assert found[0] == later


def test_two_reviewers_have_a_file_each(tmp_path: Path) -> None:
    add_answer(tmp_path, answer())
    add_answer(tmp_path, answer(reviewer="Øyvind O'Neill"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ann.jsonl", "øyvind-o-neill.jsonl"]
    assert len(read_answers(tmp_path)) == 2


def test_nothing_is_lost_between_writers(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=add_answer, args=(tmp_path, answer(prompt=f"prompt {i}"))) for i in range(16)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert {one.prompt for one in read_answers(tmp_path)} == {f"prompt {i}" for i in range(16)}


@pytest.mark.parametrize("name", ["", "  ", "../x", "a/b", "x" * 61, "<b>", "-rf", None, 3])
def test_names_that_are_no_names(name: Any) -> None:
    with pytest.raises(ValueError, match="reviewer's name"):
        reviewer_name(name)
    with pytest.raises(ValidationError):
        answer(reviewer=name)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"model": "momask"', "Invalid JSON"),
        ("{}", "Field required"),
        (json.dumps(json.loads(answer().model_dump_json()) | {"better": "both"}), "better"),
        (json.dumps(json.loads(answer().model_dump_json()) | {"seed": "0"}), "seed"),
        (json.dumps(json.loads(answer().model_dump_json()) | {"extra": 1}), "extra"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "ann.jsonl").write_text(f"{answer().model_dump_json()}\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"ann\.jsonl, line 2: .*{words}.*take the line out"):
        read_answers(tmp_path)


def test_a_file_in_another_encoding_is_named_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "ann.jsonl"
    file.write_bytes("é\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"ann\.jsonl is not UTF-8 text .*restore it"):
        read_answers(tmp_path)
    with pytest.raises(DataError, match=r"ann\.jsonl is not UTF-8 text"):
        add_answer(tmp_path, answer(reviewer="ann"))
    assert file.read_bytes() == b"\xe9\n"


def test_a_line_without_end_is_no_trap_for_the_next(tmp_path: Path) -> None:
    (tmp_path / "ann.jsonl").write_text(answer().model_dump_json(), encoding="utf-8")
    add_answer(tmp_path, answer(prompt="a man bows"))
    assert len(read_answers(tmp_path)) == 2
