"""What reviewers of blind pairs said of an edit, its original and D_r, as a table."""

from hmu_tasks.reviews.summary import HumanJudgement
from hmu_tasks.reviews.wording import judgement_head, judgement_note, judgement_rows
from hmu_tasks.viewer.grid import Grid
from hmu_tasks.viewer.summary import name_of


def human_grid(judged: HumanJudgement, method: str, strength: int | None, concept: str) -> Grid:
    """Format the judgement of an edit."""
    edited = name_of(method, strength)
    names = {"edited": edited, **{role: name_of(role, None) for role in ("original", "retrain")}}
    rows = tuple(judgement_rows(judged, names))
    return Grid(
        judgement_head(concept), rows, title=f"Human judgement of {edited}", note=judgement_note(judged)
    )
