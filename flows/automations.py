"""Put the automations of a file on a Prefect server: ``python -m flows.automations docker/automations.yaml``.

Given again, it brings those that are there up to date and makes no second one, which ``prefect automation create``
does. Where somebody is to be told, each automation also sends a notification:

``STITCHPIPE_NOTIFY_URL``
    Address of a webhook that takes ``{"text": …}`` (Slack, Mattermost, one's own). It becomes the block
    ``custom-webhook/stitchpipe``, whose address Prefect keeps encrypted and shows to nobody.
``STITCHPIPE_NOTIFY_BLOCK``
    ``TYPE/NAME`` of a notification block that is there already: e-mail, PagerDuty, Teams, whatever Prefect has.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.types import SecretDict

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prefect.client.orchestration import SyncPrefectClient

#: The block that the address of a webhook becomes.
BLOCK = "custom-webhook/stitchpipe"

_SUBJECT = "stitchpipe: {{ automation.name }}"
_BODY = (
    "{{ automation.description }}\n"
    "{% if flow_run %}Flow run {{ flow_run.name }} of {{ deployment.name }}: {{ flow_run|ui_url }}{% endif %}"
)


class AutomationsError(ExplainedError, ValueError):
    """The automations cannot be put on the server as they are."""


def declared(path: Path, *, block_id: str | None) -> list[AutomationCore]:
    """Return the automations of a file, each with a notification by the block if there is one.

    Without one, an automation that does nothing but tell is left out.
    """
    automations = []
    for given in yaml.safe_load(path.read_text("utf-8"))["automations"]:
        actions = list(given["actions"])
        if block_id is not None:
            tell = {"type": "send-notification", "block_document_id": block_id}
            actions.append(tell | {"subject": _SUBJECT, "body": _BODY})
        if actions:
            automations.append(AutomationCore.model_validate({**given, "actions": actions}))
    return automations


def put(client: SyncPrefectClient, automations: Sequence[AutomationCore]) -> list[str]:
    """Make each automation, or bring the one of its name up to date; return one line for each."""
    lines = []
    for automation in automations:
        known = client.read_automations_by_name(automation.name)
        if known:
            client.update_automation(known[0].id, automation)
        else:
            client.create_automation(automation)
        lines.append(f"{'updated' if known else 'created'} {automation.name}")
    return lines


def block_of(client: SyncPrefectClient, environ: Mapping[str, str]) -> str | None:
    """Return the id of the notification block that the environment asks for, made where it is an address; or None.

    Raises
    ------
    AutomationsError
        There is no such block.
    """
    name = environ.get("STITCHPIPE_NOTIFY_BLOCK")
    if url := environ.get("STITCHPIPE_NOTIFY_URL"):
        block = CustomWebhookNotificationBlock(
            name="stitchpipe",
            url="{{address}}",
            json_data={"text": "{{subject}}\n{{body}}"},
            headers=None,
            cookies=None,
            secrets=SecretDict({"address": url}),
        )
        block.save("stitchpipe", overwrite=True)
        name = name or BLOCK
    if not name:
        return None
    kind, _, own = name.partition("/")
    try:
        return str(client.read_block_document_by_name(own, kind).id)
    except ObjectNotFound as exc:
        raise AutomationsError(
            where="STITCHPIPE_NOTIFY_BLOCK",
            expected="TYPE/NAME of a notification block of this server",
            found=repr(name),
            remedy="Make it in Prefect's page under Blocks, or give STITCHPIPE_NOTIFY_URL.",
        ) from exc


def main(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Put the automations of each file on the server of ``PREFECT_API_URL``; return 0."""
    with get_client(sync_client=True) as client:
        try:
            block_id = block_of(client, environ)
            told: list[Any] = [
                line for path in arguments for line in put(client, declared(Path(path), block_id=block_id))
            ]
        except ExplainedError as error:
            sys.stderr.write(f"{error}\n")
            return 2
    sys.stdout.write("".join(f"{line}\n" for line in told))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
