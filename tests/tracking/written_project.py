"""A project with outputs of finished stages, written by hand, and a dvc.lock that vouches for them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from hmu_tasks.tracking import store as mlflow_store

SOURCE = Path(__file__).resolve().parents[2]
HISTORY = "step,name,value\n2,loss,2\n4,loss,1.5\n4,validation,0.25\n"


def write_params(root: Path, *, track: bool = True) -> None:
    text = (SOURCE / "params.yaml").read_text(encoding="utf-8")
    text = text.replace("track: true", f"track: {str(track).lower()}")
    (root / "params.yaml").write_text(text, encoding="utf-8")


class Written:
    """Writes outputs and their entries in dvc.lock."""

    def __init__(self, root: Path) -> None:
        self.root, self.stages = root, {}  # type: ignore[var-annotated]

    def stage(
        self,
        name: str,
        command: str,
        out: str,
        files: Mapping[str, str],
        *,
        deps: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> str:
        """Write a folder and its entry; returns the digest that stands there."""
        for file, text in files.items():
            place = self.root / out / file if file else self.root / out
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        digest = hashlib.md5(json.dumps(dict(files)).encode(), usedforsecurity=False).hexdigest() + (
            "" if "" in files else ".dir"
        )
        self.stages[name] = {
            "cmd": f"python -m hmu_tasks {command}",
            "deps": [{"path": path, "hash": "md5", "md5": md5} for path, md5 in (deps or {}).items()],
            "params": {"params.yaml": dict(params or {})},
            "outs": [{"path": out, "hash": "md5", "md5": digest}],
        }
        self.lock()
        return digest

    def lock(self) -> None:
        with (self.root / "dvc.lock").open("w", encoding="utf-8") as file:
            YAML(typ="safe").dump({"schema": "2.0", "stages": self.stages}, file)

    def clips(self) -> str:
        text = json.dumps({"clips": 40, "dataset": "synthetic", "splits": {"train": 30}, "skipped": []})
        return self.stage(
            "ingest", "ingest", "data/clips", {"ingest.json": text}, params={"run.dataset": "synthetic"}
        )

    def tokenizer(self, history: str = HISTORY) -> str:
        clips = self.clips()
        return self.stage(
            "train-tokenizer@full-0",
            "train tokenizer full --training 0",
            "runs/train/0/tokenizer-full",
            {"history.csv": history, "config.json": "{}\n", "model.safetensors": "weights"},
            deps={"data/clips": clips, "hmu_tasks/train.py": "code"},
            params={
                "run.seed": 3,
                "train.mode": "scratch",
                "train.tokenizer": {"seed": 7, "steps": 4, "sizes": [1, 2]},
                "train.pretrained.source": "nowhere",
            },
        )

    def evaluation(self) -> str:
        labels = {"split": "forget", "metric": "fid"}
        rows = [{**labels, "strength": s, "mean": m} for s, m in ((2, 1.0), (2, 3.0), (4, 5.0))]
        return self.stage(
            "evaluate@momask-lcr-0",
            "evaluate momask lcr --training 0",
            "runs/evaluate/0/momask/lcr",
            {
                "metrics.json": json.dumps(rows),
                "selection.json": '{"strength": 2}',
                "headline.json": '{"gap_closed": 0.5, "forget_fid": 2.0}',
            },
            params={"run.dataset": "synthetic", "run.concept": "violence", "evaluate": {"repeats": 2}},
        )


def runs_of(root: Path) -> pd.DataFrame:
    """All runs of the local store, oldest first."""
    client = mlflow_store.new_client(mlflow_store.tracking_uri(root))
    rows = [
        {
            "id": run.info.run_id,
            "name": run.info.run_name,
            "status": run.info.status,
            "start": run.info.start_time,
            "end": run.info.end_time,
            "parent": run.data.tags.get("mlflow.parentRunId"),
            "step": run.data.tags.get("hmu.step"),
            "tags": run.data.tags,
            "params": run.data.params,
            "metrics": {k: v for k, v in run.data.metrics.items() if not k.startswith("system/")},
        }
        for experiment in client.search_experiments()
        for run in client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    ]
    columns = ["id", "name", "status", "start", "end", "parent", "step", "tags", "params", "metrics"]
    return pd.DataFrame(rows, columns=columns)


def children_of(root: Path) -> pd.DataFrame:
    runs = runs_of(root)
    return runs[runs["parent"].notna()].reset_index(drop=True)


def curve(root: Path, run: str, name: str) -> list[tuple[int, float]]:
    client = mlflow_store.new_client(mlflow_store.tracking_uri(root))
    return [(point.step, point.value) for point in client.get_metric_history(run, name)]
