"""All report content about one model, shared by the page and the text versions."""

from dataclasses import dataclass

from hmu_tasks.viewer.attacks import Attacks, attack_grids, attacks
from hmu_tasks.viewer.costs import CostRow, cost_grid
from hmu_tasks.viewer.decision import DecisionView, decide_view
from hmu_tasks.viewer.grid import Grid, grid_markdown, grid_text, wrap
from hmu_tasks.viewer.human import human_grid
from hmu_tasks.viewer.inputs import ReportInputs
from hmu_tasks.viewer.ranking import Ranking, rank
from hmu_tasks.viewer.ranking_table import ranking_grid
from hmu_tasks.viewer.summary import Summary, fid_warning, model_label, note, summarise, summary_grids
from hmu_tasks.viewer.table import Selection
from hmu_tasks.viewer.trainings import trainings_grids
from hmu_tasks.viewer.verdict import Verdict, verdict


@dataclass(frozen=True)
class ModelView:
    """One model: its leading selection, all selections in the ranking's order, and their tables and sentences."""

    model: str
    lead: Selection
    selections: tuple[Selection, ...]
    ranking: Ranking
    summary: Summary
    attacks: Attacks
    decision: DecisionView
    verdict: Verdict
    ranking_grid: Grid | None
    cost_grid: Grid | None
    trainings_grids: tuple[Grid, ...]
    human_grids: tuple[Grid, ...]
    note: str
    warning: str

    @property
    def name(self) -> str:
        """The model's name for readers."""
        return model_label(self.model)

    @property
    def grids(self) -> list[Grid]:
        """All tables but the results, in the order of the texts."""
        first = [grid for grid in (self.ranking_grid, self.cost_grid) if grid]
        return [*self.trainings_grids, *first, *self.human_grids, *attack_grids(self.attacks)]


def views(inputs: ReportInputs) -> list[ModelView]:
    """Make the view of every model, in the order of the selections; the first selection of a model leads."""
    everything = (inputs.selection, *inputs.others)
    return [_view(inputs, model) for model in dict.fromkeys(one.model for one in everything)]


def _view(inputs: ReportInputs, model: str) -> ModelView:
    mine = tuple(one for one in (inputs.selection, *inputs.others) if one.model == model)
    lead = mine[0]
    ranking = rank(inputs.records, mine, model=model)
    order = tuple(one.selection for one in ranking.methods) or mine
    found = attacks(inputs.probes, order, model=model)
    costs = _costs(inputs, model, order)
    summary = summarise(inputs.records, lead, order)
    decision = decide_view(
        inputs.decisions, inputs.records, ranking, found, model=model, concept=inputs.concept
    )
    return ModelView(
        model=model,
        decision=decision,
        lead=lead,
        selections=order,
        ranking=ranking,
        summary=summary,
        attacks=found,
        verdict=verdict(
            inputs.records,
            lead,
            concept=inputs.concept,
            ranking=ranking,
            attacks=found,
            gate=decision.judged[0] if decision.judged else None,
            cost=next(
                (cost for cost in costs if (cost.method, cost.strength) == (lead.method, lead.strength)), None
            ),
        ),
        ranking_grid=ranking_grid(ranking, found),
        cost_grid=cost_grid(costs, model=model),
        trainings_grids=trainings_grids(inputs.trainings[model]) if model in inputs.trainings else (),
        human_grids=tuple(
            human_grid(judged, one.method, one.strength, inputs.concept)
            for one in order
            if (judged := inputs.judgements.get((model, one.method))) is not None
        ),
        note=note(summary, lead),
        warning=fid_warning(inputs.records, model=model),
    )


def _costs(inputs: ReportInputs, model: str, order: tuple[Selection, ...]) -> list[CostRow]:
    """Costs of D_r and of the selected edits, in the order of the tables."""
    plan: list[tuple[str, int | None]] = [("retrain", None), *((one.method, one.strength) for one in order)]
    known = {(cost.method, cost.strength): cost for cost in inputs.costs if cost.model == model}
    return [known[place] for place in plan if place in known]


def text(found: list[ModelView]) -> str:
    """Write all models' decisions, verdicts and tables for a terminal."""
    parts = []
    for view in found:
        head = [f"{view.name}\n{'═' * len(view.name)}\n"] if len(found) > 1 else []
        said = (
            "\n".join(wrap(sentence) for sentence in (view.decision.sentence, *view.verdict.sentences)) + "\n"
        )
        results = "\n".join(grid_text(grid) for grid in summary_grids(view.summary))
        notes = "\n".join(wrap(one) for one in (view.warning, view.note) if one) + "\n"
        parts.append("\n".join([*head, said, results, notes, *(grid_text(grid) for grid in view.grids)]))
    return "\n".join(parts)


def markdown(found: list[ModelView]) -> str:
    """Write all models' verdicts and tables as Markdown."""
    parts = []
    for view in found:
        head = [f"## {view.name}\n"] if len(found) > 1 else []
        said = (
            "\n".join(f"- {sentence}" for sentence in (view.decision.sentence, *view.verdict.sentences))
            + "\n"
        )
        results = "\n".join(grid_markdown(grid) for grid in summary_grids(view.summary))
        notes = "\n\n".join(one for one in (view.warning, view.note) if one) + "\n"
        parts.append("\n".join([*head, said, results, notes, *(grid_markdown(grid) for grid in view.grids)]))
    return "\n".join(parts)
