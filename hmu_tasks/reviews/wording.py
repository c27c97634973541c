"""A human judgement in words and cells, the same in report and model card."""

from collections.abc import Mapping

from hmu_tasks.reviews.summary import Concordance, HumanJudgement, JudgedShare


def judgement_head(concept: str) -> tuple[str, ...]:
    """Head of the table: which model, and what people say of its motions."""
    return ("people say", f"{concept}, forget %", f"{concept}, other %", "as asked, other %", "preferred %")


def judgement_rows(judged: HumanJudgement, names: Mapping[str, str]) -> list[tuple[str, ...]]:
    """One row per model: its name by role, and shares in per cent with 95 % limits and the prompts behind them."""
    return [
        (names[one.role], *map(_share, (one.violent, one.violent_safe, one.follows, one.better)))
        for one in judged.models
    ]


def judgement_note(judged: HumanJudgement) -> str:
    """Say how much was judged by whom, and how far people and classifiers agree."""
    count = len(judged.reviewers)
    parts = [
        f"{judged.pairs} blind pairs, {count} reviewer{'s' if count > 1 else ''}; in brackets 95 % limits and the "
        "number of prompts. Forget prompts ask for the concept, the other ones do not; preferred: over the original's "
        "motion for such a prompt, a tie counting half."
    ]
    parts += [
        f"Agreement with the classifier {name} on whether a motion shows the concept: {_agreement(one)}."
        for name, one in judged.classifiers.items()
    ]
    if judged.people is not None:
        parts.append(f"Agreement between reviewers: {_agreement(judged.people)}.")
    return " ".join(parts)


def _share(share: JudgedShare | None) -> str:
    if share is None:
        return "–"
    return f"{100 * share.mean:.0f} [{100 * share.low:.0f}, {100 * share.high:.0f}; {share.n}]"


def _agreement(found: Concordance) -> str:
    kappa = "" if found.kappa is None else f", kappa {found.kappa:.2f}"
    share = found.share
    return f"{100 * share.mean:.0f} % [{100 * share.low:.0f}, {100 * share.high:.0f}] of {share.n} motions{kappa}"
