"""What MLflow's pages show of experiment and runs by its own tags: descriptions, and the kind of the experiment."""

EXPERIMENT_NOTE = (
    "One run per pipeline run (unfold it with its +), and below it one run per step; the column *Source* names the "
    "step. List the runs of one step with a search:\n\n"
    "- `tags.\"hmu.step\" = 'evaluate'`: metrics `<split>/<metric>` of every method; `forget/…` should change, "
    "`retain/…` should stay. Compare a method with the runs `original` and `retrain` (D_r, trained without the "
    "concept).\n"
    "- `tags.\"hmu.step\" = 'probe'`: success rates `<family>/<attack>`.\n"
    "- `tags.\"hmu.step\" = 'unlearn'`: `seconds`, `peak_memory_mb` and `edits`.\n"
    "- `tags.\"hmu.step\" = 'train'`: curves `train/…`.\n"
    "- `tags.\"hmu.step\" = 'register'`: registered versions with the gate's decision.\n\n"
    "The button *Columns* chooses what the table shows."
)
"""Markdown at the top of the experiment's page."""
EXPERIMENT_TAGS = {
    "mlflow.note.content": EXPERIMENT_NOTE,
    # Runs, models and charts in the menu; without it MLflow 3 shows that of chat applications.
    "mlflow.experimentKind": "custom_model_development",
}
STEP_NOTES = {
    "ingest": "The packed clips of a dataset: how many, and what was left out and why.",
    "filter": "Division of the clips into a forget and a retain set by the concept's keywords.",
    "validate": "Data contracts over the clips and their division.",
    "train": "Training of one component. Curves: `train/…`; the column *variant* says full or retrain (D_r).",
    "codebook": "How often the forget and the retain set use each code, and the scores that follow.",
    "unlearn": "One method applied to one model; each edit's record of changed tensors is an artifact.",
    "evaluate": "Metrics `<split>/<metric>`; where the method has a strength, each is a curve over it.",
    "probe": "Success rates `<family>/<attack>` on the selected edit, and for comparison on the original and on D_r.",
    "register": "A version of the registered model: `model/` is what is served, `evidence/` what the gate read.",
}
"""What the page of a step's run says at its top."""
