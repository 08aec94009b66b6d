"""Messages of a command that has submitted a training job."""

from __future__ import annotations

from typing import Any

from api.cli.client import Client
from api.cli.output import hint, say
from api.cli.session import pasted


def say_submitted(client: Client, job: dict[str, Any]) -> None:
    """Print the new job with its number of trials."""
    say(f"Submitted {job['name']}: {job['id']} ({job['spec']['budget']['trials']} trials)")
    hint_if_local(client)


def hint_if_local(client: Client) -> None:
    """Hint that nothing runs the job, if no service runs."""
    if client.is_local:
        hint(f"No service is running: the job waits until one is. Start it: {pasted('serve')}")
