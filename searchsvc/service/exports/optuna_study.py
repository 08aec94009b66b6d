"""`optuna`: the job as a study in an SQLite file, for `optuna.load_study`, its plots and its dashboard.

Optuna creates the file, the schema and the study. The trials are then written into its tables in bulk, because its own
`add_trial` takes about 50 ms per trial: eight minutes for ten thousand.

A trial that the stopping rule ended is PRUNED; an open trial is WAITING with its values fixed, as if enqueued.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import optuna

from searchsvc.domain import Job, JobSpec, Trial, TrialState
from searchsvc.domain.fields import shown_fields
from searchsvc.service.exports.source import PAGE, Source
from searchsvc.service.results.optuna_distributions import distributions_of, internal_value
from searchsvc.settings import sqlite_url

_STATES = {
    TrialState.SUCCEEDED: "COMPLETE",
    TrialState.STOPPED: "PRUNED",
    TrialState.FAILED: "FAIL",
    TrialState.CANCELLED: "FAIL",
    TrialState.QUEUED: "WAITING",
    TrialState.RUNNING: "WAITING",
}
_STUDY = 1  # ids in a fresh file begin with 1

_BY_OPTUNA = frozenset(("number", "step", "attempts", "started_at", "finished_at"))
"""Fields that Optuna stores itself, or that its intermediate values contain; Optuna has no attempts."""
_FIELDS = tuple(name for name, field in shown_fields(Trial).items() if field.is_exported and name not in _BY_OPTUNA)
"""Fields of a trial that become user attributes."""
_ATTRIBUTES = MappingProxyType({"id": "trial_id"})
"""User attributes whose name differs from the name of the field."""

_INSERTS = {
    "trials": "(trial_id, number, study_id, state, datetime_start, datetime_complete) VALUES (?, ?, ?, ?, ?, ?)",
    "trial_params": "(trial_id, param_name, param_value, distribution_json) VALUES (?, ?, ?, ?)",
    "trial_values": "(trial_id, objective, value, value_type) VALUES (?, ?, ?, 'FINITE')",
    "trial_user_attributes": "(trial_id, key, value_json) VALUES (?, ?, ?)",
    "trial_system_attributes": "(trial_id, key, value_json) VALUES (?, ?, ?)",
    "trial_intermediate_values": (
        "(trial_id, step, intermediate_value, intermediate_value_type) VALUES (?, ?, ?, 'FINITE')"
    ),
}

Row = tuple[Any, ...]


def write(source: Source, path: Path) -> None:
    """Write all trials of the job to a study of its name."""
    spec = source.job.spec
    pages = source.pages()
    _create_study(source.job, path)
    space = _ParameterDistributions(spec)
    with closing(sqlite3.connect(path)) as connection, connection:
        for page in pages:
            _insert(connection, "trials", (_trial_row(trial) for trial in page))
            _insert(connection, "trial_params", (row for trial in page for row in space.rows(trial)))
            _insert(connection, "trial_values", (row for trial in page for row in _value_rows(trial, spec)))
            _insert(connection, "trial_user_attributes", (row for trial in page for row in _attribute_rows(trial)))
            system_rows = (row for trial in page for row in _system_rows(trial, spec))
            _insert(connection, "trial_system_attributes", system_rows)
        for rows in _measured(source):
            _insert(connection, "trial_intermediate_values", rows)


def _create_study(job: Job, path: Path) -> None:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # Optuna would report the new study
    try:
        storage = optuna.storages.RDBStorage(sqlite_url(path.absolute()))
        directions = [optuna.study.StudyDirection[objective.goal.upper()] for objective in job.spec.objectives]
        study_id = storage.create_new_study(directions, job.name)
    finally:
        optuna.logging.set_verbosity(verbosity)
    assert study_id == _STUDY
    storage.set_study_user_attr(study_id, "searchsvc", {"job": job.id, "spec": job.spec.document()})
    metric_names = [objective.metric for objective in job.spec.objectives]
    storage.set_study_system_attr(study_id, "study:metric_names", metric_names)
    storage.remove_session()
    storage.engine.dispose()


def _insert(connection: sqlite3.Connection, table: str, rows: Iterator[Row]) -> None:
    connection.executemany(f"INSERT OR REPLACE INTO {table} {_INSERTS[table]}", rows)


def _id(number: int) -> int:
    return number + 1


class _ParameterDistributions:
    """Distributions of the space's parameters in the form that Optuna stores."""

    def __init__(self, spec: JobSpec) -> None:
        self._distributions = distributions_of(spec)
        to_json = optuna.distributions.distribution_to_json
        self._json = {name: to_json(distribution) for name, distribution in self._distributions.items()}

    def rows(self, trial: Trial) -> Iterator[Row]:
        if trial.state.is_final:
            for name, value in trial.values.items():
                yield _id(trial.number), name, internal_value(self._distributions[name], value), self._json[name]


def _trial_row(trial: Trial) -> Row:
    state = _STATES[trial.state] if trial.metrics or trial.state is not TrialState.SUCCEEDED else "FAIL"
    started = _time(trial.started_at or trial.created_at) if trial.state.is_final else None
    return _id(trial.number), trial.number, _STUDY, state, started, _time(trial.finished_at)


def _value_rows(trial: Trial, spec: JobSpec) -> Iterator[Row]:
    metrics = trial.metrics or {}
    if trial.state.has_result and all(objective.metric in metrics for objective in spec.objectives):
        for index, objective in enumerate(spec.objectives):
            yield _id(trial.number), index, metrics[objective.metric]


def _attribute_rows(trial: Trial) -> Iterator[Row]:
    fields = {_ATTRIBUTES.get(name, name): getattr(trial, name) for name in _FIELDS}
    metrics = {**trial.costs, **(trial.metrics or {})}
    tested = {f"test.{name}": value for name, value in (trial.test_metrics or {}).items()}
    facts = {**fields, **metrics, **tested}
    return ((_id(trial.number), key, json.dumps(value)) for key, value in facts.items() if value is not None)


def _system_rows(trial: Trial, spec: JobSpec) -> Iterator[Row]:
    if not trial.state.is_final:
        yield _id(trial.number), "fixed_params", json.dumps(dict(trial.values))
    metrics = {**trial.costs, **(trial.metrics or {})}
    if spec.constraints and all(limit.metric in metrics for limit in spec.constraints):
        yield _id(trial.number), "constraints", json.dumps(list(_violations(metrics, spec)))


def _violations(metrics: Mapping[str, float], spec: JobSpec) -> Iterator[float]:
    """Yield a number per limit; by Optuna's convention, the limit is kept if the number is not above 0."""
    for limit in spec.constraints:
        if limit.max is not None:
            yield metrics[limit.metric] - limit.max
        if limit.min is not None:
            yield limit.min - metrics[limit.metric]


def _measured(source: Source) -> Iterator[Iterator[Row]]:
    """Yield the measurements of the first objective by step, in pages."""
    metric, after = source.job.spec.objectives[0].metric, 0
    while page := source.store.job_measurements(source.job.id, after=after, limit=PAGE):
        yield (
            (_id(number), measurement.step, measurement.metrics[metric])
            for _, number, measurement in page
            if metric in measurement.metrics
        )
        after = page[-1][0]


def _time(at: float | None) -> str | None:
    """Return local time without a zone, the form that Optuna stores."""
    return None if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S.%f")
