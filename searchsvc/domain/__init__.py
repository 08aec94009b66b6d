"""The words of searchsvc: jobs, trials, candidates, objectives. Pure data and arithmetic, no I/O."""

from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.ids import is_id, new_id
from searchsvc.domain.metrics import Constraint, Measurement, Metric, Objective, best_measurement
from searchsvc.domain.parameters import Basis, Categorical, Float, Integer, Parameter, Scalar
from searchsvc.domain.pareto import hypervolume, nondominated_ranks, pareto_front
from searchsvc.domain.records import Artifact, Attempt, Event, Job, Lease, Node, Proposal, Round, Token, Trial
from searchsvc.domain.spec import Budget, Fidelity, JobSpec, Resources
from searchsvc.domain.states import JOB_MOVES, Decision, FailureKind, JobRequest, JobState, TrialKind, TrialState
from searchsvc.domain.tasks import (
    DatasetInfo,
    ExportFormat,
    FileMade,
    Finding,
    Outcome,
    PredictingTask,
    Prediction,
    SharedSearch,
    SupernetTask,
    Task,
    TrialTask,
)

__all__ = [
    "JOB_MOVES",
    "Artifact",
    "Attempt",
    "Basis",
    "Budget",
    "Candidate",
    "Categorical",
    "Constraint",
    "DatasetInfo",
    "Decision",
    "Event",
    "ExportFormat",
    "FailureKind",
    "Fidelity",
    "FileMade",
    "Finding",
    "Float",
    "Integer",
    "Job",
    "JobRequest",
    "JobSpec",
    "JobState",
    "Lease",
    "Measurement",
    "Metric",
    "Node",
    "Objective",
    "Observation",
    "Outcome",
    "Parameter",
    "PredictingTask",
    "Prediction",
    "Proposal",
    "Resources",
    "Round",
    "Scalar",
    "SharedSearch",
    "SupernetTask",
    "Task",
    "Token",
    "Trial",
    "TrialKind",
    "TrialState",
    "TrialTask",
    "best_measurement",
    "hypervolume",
    "is_id",
    "new_id",
    "nondominated_ranks",
    "pareto_front",
]
