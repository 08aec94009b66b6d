"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from api.cli.completions import job_states, jobs, trial_states

JobArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="JOB", autocompletion=jobs, help="Id, beginning of the id, or name.")
]
SpecArgument: TypeAlias = Annotated[str, typer.Argument(metavar="SPEC", help="A job spec in YAML or JSON; - is stdin.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Changes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change the spec: --set budget.trials=8. May be repeated."),
]
Limit: TypeAlias = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="Largest number of entries.")]
_STATE_HELP = "Only entries in this state: RUNNING, FAILED, ..."
JobStateOption: TypeAlias = Annotated[
    str | None, typer.Option("--state", autocompletion=job_states, help=_STATE_HELP)
]
TrialStateOption: TypeAlias = Annotated[
    str | None, typer.Option("--state", autocompletion=trial_states, help=_STATE_HELP)
]
