"""What the deployments on a server offer, and what the server does by itself."""

import sqlite3
import urllib.error
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from lab import Lab, wait_until


def test_the_form_is_typed_and_the_nightly_run_is_off(lab: Lab) -> None:
    deployment = lab.deployment("unlearning/on-demand")
    fields = deployment["parameter_openapi_schema"]["properties"]
    assert "smoke" in str(fields["preset"])
    assert "humanml3d" in str(fields["dataset"])
    assert "lcr" in str(fields["methods"])
    assert deployment["enforce_parameter_schema"] is True
    for name in ("unlearning/on-demand", "promotion/with-approval", "rollback/to-the-one-before"):
        form = lab.deployment(name)["parameter_openapi_schema"]["properties"]
        assert [label for label, field in form.items() if not field.get("description")] == []
    with pytest.raises(urllib.error.HTTPError) as refused:
        lab.start_run("unlearning/on-demand", workers="many")
    assert refused.value.code == 409
    refused.value.close()
    (schedule,) = lab.deployment("unlearning/nightly")["schedules"]
    assert schedule["active"] is False
    assert schedule["schedule"]["cron"] == "0 2 * * *"
    pools = {
        name: lab.deployment(name)["work_pool_name"]
        for name in ("unlearning/nightly", "stage/run", "stage/run-gpu", "promotion/with-approval")
    }
    assert pools == {
        "unlearning/nightly": "cpu",
        "stage/run": "cpu",
        "stage/run-gpu": "gpu",
        "promotion/with-approval": "cpu",
    }


def test_runs_of_more_than_90_days_ago_go_and_others_stay(lab: Lab) -> None:
    flow = lab.deployment("stage/run")["flow_id"]
    done = {"flow_id": flow, "state": {"type": "COMPLETED"}}
    old, new, never_ended = (
        str(lab.api("/flow_runs/", run)["id"])
        for run in (done, done, {"flow_id": flow, "state": {"type": "PENDING"}})
    )
    for number in (old, new):
        moment = datetime.now(UTC).isoformat()
        line = {"name": "a", "level": 20, "message": "hello", "timestamp": moment, "flow_run_id": number}
        lab.api("/logs/", [line])
        lab.api("/artifacts/", {"key": "metrics", "type": "markdown", "data": "words", "flow_run_id": number})
    with closing(sqlite3.connect(lab.home / "prefect" / "prefect.db", timeout=60)) as store, store:
        for number, days in ((old, 91), (new, 89)):
            ended = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S.%f")
            changed = store.execute("UPDATE flow_run SET end_time = ? WHERE id = ?", (ended, number))
            assert changed.rowcount == 1

    def there() -> set[str]:
        body = {"flow_runs": {"id": {"any_": [old, new, never_ended]}}}
        return {one["id"] for one in lab.api("/flow_runs/filter", body)}

    wait_until(lambda: old not in there(), 60, "the old run's end")
    assert there() == {new, never_ended}
    wait_until(lambda: lab.lines(old) == "" and lab.artifacts(old) == {}, 60, "its logs and artifacts")
    assert lab.lines(new) == "hello"
    assert lab.artifacts(new) == {"metrics": "words"}


def test_nothing_calls_home(lab: Lab) -> None:
    settings = lab.api("/admin/settings", method="GET")
    assert settings["server"]["analytics_enabled"] is False
    assert sorted(settings["server"]["services"]["db_vacuum"]["enabled"]) == ["events", "flow_runs"]
