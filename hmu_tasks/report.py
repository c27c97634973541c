"""Step `report`: tables, plots, animations and one self-contained page from what the other steps wrote."""

from dataclasses import replace
from pathlib import Path

from hmu_tasks.config.params import Params
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.files import replacing, replacing_folder, write_json
from hmu_tasks.runtime.progress import Progress
from hmu_tasks.studio.shown import shown_samples
from hmu_tasks.viewer import brief, curves, export, page, table, view
from hmu_tasks.viewer.inputs import MotionSample, ReportInputs
from hmu_tasks.viewer.reading import read_inputs
from hmu_tasks.viewer.summary import name_of
from hmu_tasks.viewer.trainings import parameters_digest


def run(params: Params, progress: Progress | None = None) -> None:
    """Write the report into reports/.

    Where there are action labels, prompts are chosen and their motions generated here (`studio/shown.py`).

    For readers: benchmark tables, summary.txt (the decision), tables.txt (every table), motions.npz, plots/, gifs/
    and index.html; headline/<model>-<method>.json, tradeoff.csv and attacks.csv for `dvc metrics` and `dvc plots`;
    trainings.json where there are several trainings.
    """
    write_report(_with_shown(read_inputs(params), params, progress), paths.REPORTS)


def _with_shown(inputs: ReportInputs, params: Params, progress: Progress | None) -> ReportInputs:
    """Put the chosen prompts in place of those drawn in evaluation, before those disputed of the leading method."""
    chosen: list[MotionSample] = []
    kept: list[MotionSample] = []
    for lead, selections in page.leads(inputs):
        if lead.method not in ENDS:
            chosen += shown_samples(params, selections, name_of(lead.method, lead.strength), progress)
            mine = (lead.model, lead.method, lead.strength)
            kept += [s for s in inputs.samples if s.disputed and (s.model, s.method, s.strength) == mine]
    return replace(inputs, samples=[*chosen, *kept]) if chosen else inputs


def write_report(inputs: ReportInputs, target: Path) -> None:
    """Write every file of the report into `target`; equal inputs give equal bytes."""
    frame = table.benchmark_frame(inputs.records)
    plots = page.draw_plots(inputs)
    animations = page.draw_animations(inputs)
    found = view.views(inputs)
    write_json(target / "benchmark.json", table.benchmark_json(frame))
    _write(target / "benchmark.csv", table.benchmark_csv(frame))
    _write(
        target / "benchmark.md",
        f"# Results\n\n{view.markdown(found)}\n# All records\n\n{table.benchmark_markdown(frame)}",
    )
    _write(target / "summary.txt", brief.brief(found))
    _write(target / "tables.txt", view.text(found))
    with replacing_folder(target / "plots") as folder:
        for name, text in plots.items():
            (folder / f"{name}.svg").write_text(text, encoding="utf-8")
    with replacing_folder(target / "gifs") as folder:
        for name, data in animations.items():
            (folder / name).write_bytes(data)
    if inputs.samples:
        with replacing(target / "motions.npz") as temporary:
            temporary.write_bytes(export.npz({sample.name: sample.joints for sample in inputs.samples}))
    with replacing_folder(target / "headline") as folder:
        for (model, method), numbers in inputs.headlines.items():
            write_json(folder / f"{model}-{method}.json", numbers)
    if inputs.params is not None and len(inputs.params["run"]["trainings"]) > 1:
        record = {"parameters": parameters_digest(inputs.params), "models": inputs.trainings}
        write_json(target / "trainings.json", record)
    _write(target / "tradeoff.csv", curves.as_csv(curves.tradeoff_table(inputs)))
    _write(target / "attacks.csv", curves.as_csv(curves.attack_table(inputs)))
    _write(target / "index.html", page.render_page(inputs, plots, animations))


def _write(target: Path, text: str) -> None:
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
