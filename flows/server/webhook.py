"""The automation that calls a webhook for failed flow runs; its block has no command in Prefect's command line."""

import json
from typing import Any

from prefect.blocks.webhook import Webhook
from pydantic import SecretStr

FAILED_RUNS = "failed flow runs call a webhook"
_BLOCK = "hmu-failures"


def failure_automation(url: str) -> dict[str, Any]:
    """Save the address as a secret on the server; return the automation that calls it.

    The webhook gets a short JSON text for every flow run that fails or crashes.
    """
    block = Webhook(method="POST", url=SecretStr(url)).save(_BLOCK, overwrite=True)
    payload = {
        "flow": "{{ flow.name }}",
        "run": "{{ flow_run.name }}",
        "state": "{{ flow_run.state.name }}",
        "address": "{{ flow_run|ui_url }}",
    }
    return {
        "name": FAILED_RUNS,
        "description": "Says which flow run failed and where to look.",
        "trigger": {
            "type": "event",
            "posture": "Reactive",
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "for_each": ["prefect.resource.id"],
            "expect": ["prefect.flow-run.Failed", "prefect.flow-run.Crashed"],
            "threshold": 1,
        },
        "actions": [
            {"type": "call-webhook", "block_document_id": str(block), "payload": json.dumps(payload)}
        ],
    }
