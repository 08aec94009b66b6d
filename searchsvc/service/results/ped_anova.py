"""The importance of parameters by Optuna's PED-ANOVA evaluator, over trials held in memory."""

from __future__ import annotations

import warnings
from collections.abc import Container, Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from searchsvc.domain import Job, Scalar, Trial
from searchsvc.service.results.optuna_distributions import distributions_of, internal_value


def shares_of(job: Job, measured: Sequence[tuple[Trial, float]], *, minimised: bool) -> dict[str, float]:
    """Return the share of each parameter in the variation of a metric, from trials with their values of the metric."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # Optuna would report every new study
    distributions = distributions_of(job.spec)
    numbered = {name: _numbered(distribution) for name, distribution in distributions.items()}
    trials = [
        FrozenTrial(
            number=number,
            state=TrialState.COMPLETE,
            value=value,
            datetime_start=None,
            datetime_complete=None,
            params={name: _value(distributions[name], one) for name, one in trial.values.items() if name in numbered},
            distributions={name: numbered[name] for name in trial.values if name in numbered},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
            trial_id=number,
        )
        for number, (trial, value) in enumerate(measured)
    ]

    class TrialsInMemory(InMemoryStorage):
        """A storage of these trials that does not copy them each time they are read."""

        def get_all_trials(
            self,
            study_id: int,  # noqa: ARG002 - inherited
            deepcopy: bool = True,  # noqa: ARG002 - inherited
            states: Container[TrialState] | None = None,
        ) -> list[FrozenTrial]:
            return trials if states is None or TrialState.COMPLETE in states else []

    storage = TrialsInMemory()
    storage.create_new_study([StudyDirection.MINIMIZE if minimised else StudyDirection.MAXIMIZE], job.id)
    study = optuna.Study(job.id, storage)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the evaluator is marked as experimental
        shares = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {name: float(share) for name, share in shares.items()}


def _numbered(distribution: BaseDistribution) -> BaseDistribution:
    """Return a distribution over the numbers of choices: Optuna takes the choices true and 1 for the same."""
    if isinstance(distribution, CategoricalDistribution):
        return CategoricalDistribution(tuple(range(len(distribution.choices))))
    return distribution


def _value(distribution: BaseDistribution, value: Scalar) -> Scalar:
    return int(internal_value(distribution, value)) if isinstance(distribution, CategoricalDistribution) else value
