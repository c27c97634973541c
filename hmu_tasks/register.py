"""Step `register`: gather the evidence of one edit and let the gate decide; files only, no store.

`registry/publish.py` registers it as a version in the MLflow registry.
"""

from hmu_tasks.config.params import Params
from hmu_tasks.registry.card import card_text
from hmu_tasks.registry.gate import decide
from hmu_tasks.registry.gathering import gather_evidence, limits_of
from hmu_tasks.registry.wording import decision_json
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.files import replacing_folder, write_json


def run(params: Params, model: str, method: str, edit: str | None = None) -> None:
    """Write evidence.json, decision.json and card.md of one edit; equal inputs give equal bytes.

    edit: None takes the strength that was selected on the validation split, with its first seed. The registry's
    champion is not read here, because the files would then depend on a store; `publish` compares with it.
    """
    evidence = gather_evidence(params, model, method, edit)
    decision = decide(evidence, None, limits_of(params))
    with replacing_folder(paths.registration(model, method)) as folder:
        write_json(folder / "evidence.json", evidence.to_json())
        write_json(folder / "decision.json", decision_json(evidence, decision))
        (folder / "card.md").write_text(card_text(evidence, decision), encoding="utf-8")
