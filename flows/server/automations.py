"""Automations on the server: runs that fell silent become Crashed, failures call a webhook."""

import json
from contextlib import suppress
from datetime import timedelta
from typing import cast
from uuid import UUID

from prefect.automations import Automation
from prefect.blocks.webhook import Webhook
from prefect.client.schemas.objects import StateType
from prefect.events.actions import CallWebhook, ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

SILENT_RUNS = "silent flow runs become Crashed"
FAILED_RUNS = "failed flow runs call a webhook"
WEBHOOK_BLOCK = "hmu-failures"
_FLOW_RUNS = "prefect.flow-run.*"
_BEAT = "prefect.flow-run.heartbeat"
_ENDS = {f"prefect.flow-run.{name}" for name in ("Completed", "Cached", "Failed", "Cancelled", "Crashed")}


def crash_silent_runs(within: timedelta, *, flow_runs: str = _FLOW_RUNS) -> Automation:
    """Watch the heartbeats of flow runs: one that sends none for `within`, and has not ended, is taken for dead.

    Without it a run whose machine is gone stays Running for ever, and whoever waits for it waits for ever.

    flow_runs: which ones, as Prefect names them in events
    """
    return _register(
        Automation(
            name=SILENT_RUNS,
            description="A flow run without a heartbeat has lost its process; a stage is then tried elsewhere.",
            trigger=EventTrigger(
                after={_BEAT},
                expect={_BEAT, *_ENDS},
                match=ResourceSpecification({"prefect.resource.id": flow_runs}),
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                threshold=1,
                within=within,
            ),
            actions=[
                ChangeFlowRunState(
                    state=StateType.CRASHED, message=f"no heartbeat for {within.total_seconds():.0f} s"
                )
            ],
        )
    )


def call_webhook_on_failure(url: str) -> Automation:
    """Send a short JSON text to `url` for every flow run that fails or crashes; the address is kept as a secret."""
    block = Webhook(method="POST", url=SecretStr(url))
    block_id = cast(UUID, block.save(WEBHOOK_BLOCK, overwrite=True))
    payload = {
        "flow": "{{ flow.name }}",
        "run": "{{ flow_run.name }}",
        "state": "{{ flow_run.state.name }}",
        "address": "{{ flow_run|ui_url }}",
    }
    return _register(
        Automation(
            name=FAILED_RUNS,
            description="Says which flow run failed and where to look.",
            trigger=EventTrigger(
                expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
                match=ResourceSpecification({"prefect.resource.id": _FLOW_RUNS}),
                for_each={"prefect.resource.id"},
                posture=Posture.Reactive,
                threshold=1,
            ),
            actions=[CallWebhook(block_document_id=block_id, payload=json.dumps(payload))],
        )
    )


def _register(automation: Automation) -> Automation:
    """Create the automation, in the place of an earlier one of the same name."""
    with suppress(ValueError, ObjectNotFound):
        cast(Automation, Automation.read(name=automation.name)).delete()
    return cast(Automation, automation.create())  # not a coroutine: there is no event loop here
