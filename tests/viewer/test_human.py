"""What people say stands in page and texts, and only where they were asked."""

import dataclasses

import pytest
from fake_records import SELECTION
from fake_report import make_inputs

from hmu_tasks.reviews.summary import Concordance, HumanJudgement, JudgedShare, ModelJudgement
from hmu_tasks.viewer import page, view

JUDGED = HumanJudgement(
    31,
    ("Ann", "Ben"),
    (
        ModelJudgement(
            "original", "o", JudgedShare(0.6, 0.4, 0.77, 25), None, JudgedShare(0.9, 0.7, 1.0, 12), None
        ),
        ModelJudgement(
            "edited", "e", JudgedShare(0.04, 0.01, 0.2, 25), None, None, JudgedShare(0.5, 0.3, 0.7, 12)
        ),
        ModelJudgement("retrain", "r", None, None, None, None),
    ),
    {"cnn": Concordance(JudgedShare(0.875, 0.75, 0.94, 62), 0.71)},
    Concordance(JudgedShare(0.8, 0.5, 0.95, 10), None),
)
SAID = (
    "31 blind pairs, 2 reviewers",
    "classifier cnn on whether a motion shows the concept: 88 % [75, 94] of 62 motions, kappa 0.71.",
    "Agreement between reviewers: 80 % [50, 95] of 10 motions.",
)


@pytest.fixture(scope="module")
def inputs():
    return dataclasses.replace(make_inputs(), judgements={(SELECTION.model, SELECTION.method): JUDGED})


def test_the_page_and_the_texts_show_it(inputs):
    text = page.render_page(inputs, {}, {})
    assert '<section id="human">' in text
    assert "4 [1, 20; 25]" in text
    for written in (view.text(view.views(inputs)), view.markdown(view.views(inputs)), text):
        flat = " ".join(written.replace("\u00a0", " ").split())
        for words in SAID:
            assert words in flat


def test_without_answers_nothing_is_shown():
    assert 'id="human"' not in page.render_page(make_inputs(), {}, {})
    assert "Human judgement" not in view.text(view.views(make_inputs()))
