"""Service: everything that can be done with jobs, one method per use case. REST, the CLI and the pages all call it.

A job is named by its id, by its name, or by the beginning of its id (four characters or more) where only one job fits.
Where several jobs have the name, the newest of them is meant.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from searchsvc import tasks
from searchsvc.domain import (
    Artifact,
    Attempt,
    Budget,
    Constraint,
    DatasetInfo,
    Event,
    Job,
    JobSpec,
    JobState,
    Measurement,
    Round,
    Token,
    Trial,
    TrialState,
    Verdict,
    count_results,
    is_id,
    new_id,
)
from searchsvc.errors import Conflict, InvalidInput, NotFound
from searchsvc.labels import LabelDocument
from searchsvc.service.documents import documents, drafts
from searchsvc.service.exports import export
from searchsvc.service.exports.export import Format
from searchsvc.service.exports.source import Source
from searchsvc.service.labels import predictions, reassess, relabel
from searchsvc.service.labels.reassess import Reassessment
from searchsvc.service.labels.relabel import CONFIDENCE, NETWORKS, THRESHOLD, Progress, Questions, Relabelled
from searchsvc.service.lookup import checks, references
from searchsvc.service.lookup.pages import Page, page_of
from searchsvc.service.planning import resolve as planning
from searchsvc.service.planning import samples as sampling
from searchsvc.service.recommending import recommend, transfer
from searchsvc.service.recommending import search as guided
from searchsvc.service.recommending.recommend import Recommendations
from searchsvc.service.recommending.transfer import TransferReport
from searchsvc.service.results import architecture, distributions, gains, importance
from searchsvc.service.results import standing as results
from searchsvc.service.results.architecture import Architecture
from searchsvc.service.results.columns import Results
from searchsvc.service.results.distributions import Distributions, Learning
from searchsvc.service.results.gains import GainReport
from searchsvc.service.results.importance import Importance
from searchsvc.service.system import cluster, tokens
from searchsvc.service.system.doctor import Health, examine
from searchsvc.settings import Settings
from searchsvc.spaces import Space
from searchsvc.store import Idempotency, Store

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class LogPart:
    """A piece of a log, and where in the file (in bytes) the next piece begins."""

    text: str
    end: int


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """A dataset, or a format of datasets, that a task can read."""

    task: str
    name: str
    description: str


class Service:
    """The use cases over one store."""

    def __init__(self, store: Store, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.settings = settings
        self.clock = clock
        self._fronts: dict[str, results.KnownFront] = {}
        self._trained: dict[str, tuple[int, float, float]] = {}
        self._datasets: dict[str, DatasetInfo] = {}
        self._importances: dict[tuple[str, str], tuple[int, Importance]] = {}

    # ---- jobs: making ----------------------------------------------------------------------------------------------

    def plan(self, document: object, *, trusted: bool = False) -> planning.Plan:
        """What the job would run: its space, feasible share, first candidates. Stores and spends nothing.

        Raises InvalidInput for everything that is wrong with the document. `trusted`: its files may lie anywhere.
        """
        spec = JobSpec.parse(documents.checked(document))
        return planning.plan(planning.resolve(spec, trusted=trusted, settings=self.settings, store=self.store))

    def submit(
        self, document: object, *, owner: str | None = None, trusted: bool = False, idempotency_key: str | None = None
    ) -> tuple[Job, bool]:
        """Store a job; a controller will run it. (job, whether it is new: False where the key was seen before).

        Raises InvalidInput (nothing is stored) and Conflict (the key was used with another document).
        """
        spec = JobSpec.parse(documents.checked(document))
        blueprint = planning.resolve(spec, trusted=trusted, settings=self.settings, store=self.store)
        planning.check_reachable(blueprint)
        return self._create(blueprint.spec, owner, idempotency_key)

    def clone(
        self,
        job_id: str,
        changes: Mapping[str, Any],
        *,
        owner: str | None = None,
        trusted: bool = False,
        idempotency_key: str | None = None,
    ) -> Job:
        """A new job from the spec of another one, changed by a JSON merge patch (RFC 7396) and validated whole."""
        source = self.job(job_id).spec.document()
        return self.submit(
            documents.merge_patch(source, changes), owner=owner, trusted=trusted, idempotency_key=idempotency_key
        )[0]

    def _create(self, spec: JobSpec, owner: str | None, key: str | None) -> tuple[Job, bool]:
        if key is not None and not 1 <= len(key) <= 255:
            raise InvalidInput.at("/idempotency_key", "must be a text of 1 to 255 characters")
        idempotency = Idempotency(key, documents.digest(spec.document())) if key is not None else None
        return self.store.create_job(spec, job_id=new_id(), owner=owner, idempotency=idempotency)

    # ---- jobs: changing --------------------------------------------------------------------------------------------

    def pause(self, job_id: str) -> Job:
        """End the running trials at once; they go on from their checkpoints after `resume`."""
        return self.store.pause_job(self._id(job_id))

    def resume(self, job_id: str) -> Job:
        return self.store.resume_job(self._id(job_id))

    def stop(self, job_id: str) -> Job:
        """Drain: nothing new starts, running trials finish, then the job has SUCCEEDED."""
        return self.store.stop_job(self._id(job_id))

    def cancel(self, job_id: str) -> Job:
        """Kill: all open trials end at once as CANCELLED."""
        return self.store.cancel_job(self._id(job_id))

    def retry(self, job_id: str) -> Job:
        """Run the FAILED trials again. Raises Conflict where there is none."""
        return self.store.retry_job(self._id(job_id))

    def extend(
        self,
        job_id: str,
        *,
        trials: int | None = None,
        seconds: float | None = None,
        gpu_hours: float | None = None,
    ) -> Job:
        """A larger budget (the new totals, not what is added); a job that has ended goes on. Raises InvalidInput."""
        job = self.job(job_id)
        given = {"trials": trials, "seconds": seconds, "gpu_hours": gpu_hours}
        changed = {name: value for name, value in given.items() if value is not None}
        if not changed:
            raise InvalidInput.at("", "name the new budget: trials, seconds or gpu_hours")
        document = {**job.spec.budget.model_dump(mode="json"), **documents.checked(changed)}
        return self.store.extend_job(job.id, planning.parse_section(Budget, document))

    def delete(self, job_id: str) -> None:
        """Delete a job that is not running, with its trials, weights and logs."""
        found = self._id(job_id)
        self.store.delete_job(found)
        export.remove_files(self.settings, found)

    # ---- jobs: reading ---------------------------------------------------------------------------------------------

    def job(self, job_id: str) -> Job:
        """By id, by name (the newest of that name), or by the beginning of an id.

        Raises NotFound, and Conflict where several ids begin like that.
        """
        return references.find_job(self.store, job_id)

    def jobs(
        self,
        *,
        state: JobState | None = None,
        name: str | None = None,
        page_size: int = _SHOWN,
        page_token: str | None = None,
    ) -> Page[Job]:
        """Jobs, the newest first."""
        return page_of(
            lambda after, limit: self.store.jobs(state=state, name=name, after=after, limit=limit),
            lambda job: job.id,
            kind=str,
            size=page_size,
            token=page_token,
            filters={"list": "jobs", "state": state, "name": name},
        )

    def counts(self, job_ids: Sequence[str]) -> dict[str, dict[TrialState, int]]:
        """Trials by state, of many jobs in one statement."""
        return self.store.trial_counts_of(job_ids)

    def summary(self, job_id: str) -> results.JobSummary:
        """Counts, pace, time left, the best trial, how many are on the Pareto front."""
        found = self.standing(job_id)
        return results.summary(found, lambda counts: self._front_size(found.job, counts))

    def standing(self, job_id: str) -> results.Standing:
        """The same without the front."""
        job = self.job(job_id)
        return results.standing(self.store, job, lambda ended: self._trained_seconds(job, ended))

    def best(self, job_id: str, k: int = 5) -> list[Trial]:
        """The k best trials by the first objective that keep every constraint."""
        if not 1 <= k <= 1000:
            raise InvalidInput.at("/k", f"must lie from 1 to 1000, not {k}")
        return results.best(self.store, self.job(job_id), k)

    def pareto(self, job_id: str) -> list[Trial]:
        """The trials that no other one beats in every objective, best first by the first objective."""
        job = self.job(job_id)
        known = self._fronts.get(job.id)
        return results.pareto(self.store, job, known.front if known else None)

    def result_columns(self, job_id: str) -> Results:
        """The results of all trials as columns."""
        job = self.job(job_id)
        found = Results.of(self.store.results(job.id))
        if len(job.spec.objectives) > 1:
            _remember(self._fronts, job.id, results.front_of(job, found))
        return found

    def rounds(self, job_id: str) -> list[Round]:
        """What the job's algorithm has said of its rounds, by number; nothing where it has none."""
        return self.store.rounds(self._existing(job_id))

    def distributions(self, job_id: str) -> Distributions:
        """What the job's supernet has learned of each parameter. Raises Conflict where there is nothing to show."""
        return distributions.distributions(self.store, self.job(job_id))

    def learning(self, job_id: str, *, most: int = 200) -> Learning:
        """The same over the steps of the supernet, `most` of them. Raises Conflict where there is nothing to show."""
        return distributions.learning(self.store, self.job(job_id), most)

    def space(self, job_id: str) -> Space:
        """What the job searches, with `fix` and `narrow` applied."""
        return checks.space_of(self.job(job_id).spec, None)

    def importance(self, job_id: str, metric: str | None = None) -> Importance:
        """How much each parameter decides a metric (None: the first objective), by the newest results.

        Remembered until another trial ends. Raises Conflict where there are too few results, InvalidInput where they
        do not have the metric.
        """
        job = self.job(job_id)
        metric = metric or job.spec.objectives[0].metric
        ended, key = count_results(self.store.trial_counts(job.id)), (job.id, metric)
        known = self._importances.get(key)
        if known is None or known[0] != ended:
            found = importance.importance(self.store, job, metric)
            known = _remember(self._importances, key, (ended, found))
        return known[1]

    def job_attempts(self, job_id: str, *, limit: int = 1000) -> list[tuple[int, Attempt]]:
        """(number of the trial, attempt) of a job, those of the newest trials first."""
        return self.store.job_attempts(self._existing(job_id), limit)

    def logs(self, job_id: str, *, offset: int | None = None, lines: int | None = None) -> LogPart:
        """The log of the job's driver: from byte `offset` on, or its last `lines`."""
        return _log_part(self.settings.job_log(self._id(job_id)), offset, lines)

    def _front_size(self, job: Job, counts: Mapping[TrialState, int]) -> int:
        """Remembered until another trial ends."""
        ended, known = count_results(counts), self._fronts.get(job.id)
        if known is None or known.ended != ended:
            known = _remember(self._fronts, job.id, results.known_front(self.store, job, ended, known))
        return known.size

    def _trained_seconds(self, job: Job, ended: int) -> float:
        """Remembered until another trial ends, and for some seconds then: all trials have to be looked at."""
        known, now = self._trained.get(job.id), self.clock()
        if known is None or (known[0] != ended and now - known[1] > _SUM_SECONDS):
            known = _remember(self._trained, job.id, (ended, now, self.store.trained_seconds(job.id)))
        return known[2]

    def _id(self, job_id: str) -> str:
        return job_id if is_id(job_id) else self.job(job_id).id

    # ---- trials ----------------------------------------------------------------------------------------------------

    def trials(
        self,
        job_id: str,
        *,
        state: TrialState | None = None,
        newest_first: bool = False,
        page_size: int = _SHOWN,
        page_token: str | None = None,
    ) -> Page[Trial]:
        """Trials of a job in the order of their numbers."""
        job = self._existing(job_id)
        return page_of(
            lambda after, limit: self.store.trials(
                job, state=state, after=after, limit=limit, newest_first=newest_first
            ),
            lambda trial: trial.number,
            kind=int,
            size=page_size,
            token=page_token,
            filters={"list": "trials", "job": job, "state": state, "newest_first": newest_first},
        )

    def trial(self, trial_id: str) -> Trial:
        """By id, or as JOB/NUMBER. Raises NotFound."""
        return references.find_trial(self.store, trial_id)

    def trials_with_ids(self, trial_ids: Sequence[str]) -> list[Trial]:
        """Those that there are, in no order; in one statement."""
        return self.store.trials_with_ids(trial_ids)

    def trials_numbered(self, job_id: str, numbers: Sequence[int]) -> list[Trial]:
        """Those of a job that there are, in the order of `numbers`; in one statement."""
        return self.store.trials_numbered(self._existing(job_id), numbers)

    def attempts(self, trial_id: str) -> list[Attempt]:
        return self.store.attempts(self.trial(trial_id).id)

    def artifacts(self, trial_id: str) -> list[Artifact]:
        """The files that a trial made."""
        return self.store.artifacts(self.trial(trial_id).id)

    def measurements(self, trial_id: str) -> list[Measurement]:
        """Of one trial, by step."""
        return self.store.measurements(self.trial(trial_id).id)

    def measurements_of(self, trial_ids: Sequence[str]) -> dict[str, list[Measurement]]:
        """By id of the trial, by step; of many trials at once."""
        return self.store.measurements_of(trial_ids)

    def architecture(self, trial_id: str) -> Architecture:
        """What the network of a trial is made of. Raises Conflict where it cannot be told."""
        trial = self.trial(trial_id)
        if not trial.is_candidate:
            raise Conflict(f"trial {trial.number} trains a supernet, which is no one network")
        spec = self.store.job(trial.job_id).spec
        dataset = self._datasets.get(trial.job_id)
        if dataset is None:
            dataset = _remember(self._datasets, trial.job_id, architecture.dataset_of(spec))
        return architecture.architecture(spec, dataset, trial.values)

    def job_measurements(
        self, job_id: str, *, page_size: int = _SHOWN, page_token: str | None = None
    ) -> Page[tuple[int, int, Measurement]]:
        """Of all trials of a job, in the order in which they were stored: (id, trial number, measurement)."""
        job = self._existing(job_id)
        return page_of(
            lambda after, limit: self.store.job_measurements(job, after=after or 0, limit=limit),
            lambda row: row[0],
            kind=int,
            size=page_size,
            token=page_token,
            filters={"list": "measurements", "job": job},
        )

    def compare(self, trial_ids: Sequence[str]) -> results.Comparison:
        """Trials, of one job or several, side by side."""
        if not 1 <= len(trial_ids) <= 100:
            raise InvalidInput.at("/trials", f"compare 1 to 100 trials, not {len(trial_ids)}")
        trials = [self.trial(one) for one in trial_ids]
        specs = {job_id: self.store.job(job_id).spec for job_id in {trial.job_id for trial in trials}}
        return results.compare(trials, specs)

    def trial_logs(self, trial_id: str, *, offset: int | None = None, lines: int | None = None) -> LogPart:
        """What the trial wrote while it was trained."""
        trial = self.trial(trial_id)
        return _log_part(self.settings.trial_dir(trial.job_id, trial.id) / "trial.log", offset, lines)

    def _existing(self, job_id: str) -> str:
        return self.job(job_id).id

    # ---- events ----------------------------------------------------------------------------------------------------

    def events(self, *, after: int = 0, job_id: str | None = None, limit: int = 1000) -> list[Event]:
        """Events with a sequence number above `after`, in order; of one job, or of all."""
        return self.store.events(after=after, job_id=self._id(job_id) if job_id else None, limit=limit)

    def latest_events(self, job_id: str, limit: int = _SHOWN) -> list[Event]:
        """The last events of a job, in order."""
        return self.store.latest_events(self._existing(job_id), limit)

    def last_sequence(self) -> int:
        """The sequence number of the newest event; 0 before the first."""
        return self.store.last_sequence()

    # ---- going on from what was found ------------------------------------------------------------------------------

    def recommend(self, job_id: str, limits: Sequence[Constraint], *, k: int = 5) -> Recommendations:
        """The k candidates that the job's trials speak for within other limits. Trains and stores nothing.

        Raises InvalidInput (pointers `/constraints/0/metric`, `/k`) and Conflict where there are too few results.
        """
        job = self.job(job_id)
        blueprint = planning.resolve(job.spec, trusted=True, settings=self.settings, store=self.store)
        return recommend.recommend(self.store, job, blueprint, limits, k, guided.search)

    def train(self, found: Recommendations, *, owner: str | None = None, idempotency_key: str | None = None) -> Job:
        """A new job that trains what was recommended, to the whole fidelity."""
        return self._submit_like(recommend.spec_to_train(found), owner, idempotency_key)

    def transfer(
        self,
        job_id: str,
        space: str,
        *,
        k: int = 3,
        networks: Sequence[str] = (),
        repeats: int = 1,
        owner: str | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """A new job that trains networks of another space with the k best recipes of this one, and with the default.

        `networks`: some of the space's; none: the first few. Each is trained `repeats` times with each recipe.
        """
        spec = transfer.spec_of(self.store, self.job(job_id), space, k=k, networks=networks, repeats=repeats)
        return self._submit_like(spec, owner, idempotency_key)

    def transfer_report(self, job_id: str) -> TransferReport:
        """What the recipes did for each network, so far. Raises Conflict where the job is no transfer of recipes."""
        return transfer.report(self.store, self.job(job_id))

    def gains(self, job_id: str) -> GainReport:
        """What pre-training, self-training and augmentation are worth by amount of data, as far as the job tells.

        Raises Conflict where it searches none of them.
        """
        job = self.job(job_id)
        task = checks.task_of(job.spec)
        defaults = {**task.default_parameters, **checks.constants_of(job.spec)}
        return gains.report(self.store, job, checks.space_of(job.spec, task), defaults)

    def _submit_like(self, document: dict[str, Any], owner: str | None, key: str | None) -> Job:
        """A job on the data of one that was accepted before: where that lies was checked then."""
        return self.submit(document, owner=owner, trusted=True, idempotency_key=key)[0]

    # ---- doubting labels -------------------------------------------------------------------------------------------

    def reassess(self, job_id: str, labels: LabelDocument, *, k: int = 1) -> Reassessment:
        """What the finished trials are worth by the label sets of a label file, and how their ranking changes.

        Raises InvalidInput (pointers `/labels/...`, `/k`) and Conflict where no trial has left its predictions.
        """
        return reassess.reassess(self.store, self.settings.artifacts_dir, self.job(job_id), labels, k)

    def relabel(self, job_id: str, *, networks: int = NETWORKS, confidence: float = CONFIDENCE) -> Progress:
        """Ask about the labels of the validation images: questions from the answers of the best trials that differ.

        Where there are questions already, these take their place; verdicts stay.
        """
        return relabel.start(
            self.store,
            self.settings.artifacts_dir,
            self.job(job_id),
            networks=networks,
            confidence=confidence,
            now=self.clock(),
        )

    def relabelling(self, job_id: str) -> Progress:
        """Where it stands. Raises Conflict where nothing is asked."""
        return relabel.progress(self.store, self.job(job_id))

    def questions(self, job_id: str, rater: str) -> Questions:
        """What a rater has not answered yet."""
        return relabel.questions(self.store, self.job(job_id), rater)

    def judge(self, job_id: str, rater: str, image: int, label: int, accepted: bool | None) -> None:
        """Keep what a rater says to a question; None: takes it back. Raises NotFound for what is not asked."""
        job = self.job(job_id)
        if accepted is None:
            relabel.withdraw(self.store, job, rater, image, label)
        else:
            relabel.answer(self.store, job, Verdict(rater, image, label, accepted, self.clock()))

    def relabelled(self, job_id: str, *, threshold: float = THRESHOLD) -> Relabelled:
        """Label sets by what all raters have said so far."""
        return relabel.relabelled(self.store, self.job(job_id), threshold)

    def can_be_doubted(self, job: Job) -> bool:
        """Whether the validation images of a job have labels that raters could look at."""
        return predictions.has_labels(job)

    def picture(self, job_id: str, image: int) -> bytes:
        """A validation image of the job as PNG. Raises NotFound, and Conflict where its dataset cannot be read."""
        return predictions.picture(self.job(job_id), image)

    # ---- taking away -----------------------------------------------------------------------------------------------

    def export(
        self,
        job_id: str,
        *,
        format: str,  # noqa: A002 - the word of the CLI
        destination: Path,
        trial: str | None = None,
        keep: Callable[[Trial], bool] | None = None,
    ) -> Path:
        """Write a job as one of its formats to `destination` (a file or a folder); the file that was written.

        What holds one trial holds `trial`, or the best; what holds many holds all, or those that pass `keep`. An
        existing file is replaced, in one step.
        """
        job = self.job(job_id)
        chosen = self.trial(trial if "/" in trial or is_id(trial) else f"{job.id}/{trial}") if trial else None
        if chosen is not None and chosen.job_id != job.id:
            raise InvalidInput.at("/trial", f"belongs to job {chosen.job_id}, not to {job.id}")
        source = Source(self.store, self.settings.artifacts_dir, job, chosen, keep)
        return export.export(source, format=format, destination=destination)

    def export_formats(self, job_id: str) -> Mapping[str, Format]:
        """What the job can be written as, by name."""
        return export.formats_of_job(self.job(job_id))

    # ---- tables, tokens, health ------------------------------------------------------------------------------------

    def examples(self) -> list[drafts.Example]:
        """Specs that ship, to begin with."""
        return drafts.examples()

    def draft(self, job_id: str) -> str:
        """The spec of a job as a text to begin another one with."""
        return drafts.of_spec(self.job(job_id).spec)

    def sample(self, space: str, seed: int) -> sampling.Sample:
        """A random candidate of a shipped space, with its costs. Raises NotFound, InvalidInput."""
        return sampling.sample(space, seed)

    def datasets(self) -> list[DatasetEntry]:
        """What the installed tasks can read."""
        return [DatasetEntry(task.name, *one) for task in tasks.all_tasks() for one in task.datasets()]

    def cluster(self) -> cluster.Cluster:
        """Nodes as drivers report them, running attempts, what waits and why."""
        return cluster.look(self.store)

    def create_token(
        self, name: str, *, scope: tokens.Scope = tokens.Scope.READ, expires_seconds: float | None = None
    ) -> tuple[Token, str]:
        """A new token and its secret, which is shown this once and never stored."""
        return tokens.create(self.store, name, scope, expires_seconds, now=self.clock())

    def tokens(self) -> list[Token]:
        return self.store.tokens()

    def revoke_token(self, token_id: str) -> None:
        """The token is refused from now on. Raises NotFound."""
        self.store.revoke_token(token_id)

    def authenticate(self, secret: str | None) -> Token:
        """The token whose secret this is. Raises Unauthenticated where it is missing, unknown, expired or revoked."""
        return tokens.authenticate(self.store, secret, now=self.clock())

    def local_token(self) -> str:
        """The secret of the token of this machine's user, made at first start and kept in the data folder."""
        return tokens.ensure_local_token(self.store, self.settings, now=self.clock())

    def doctor(self) -> Health:
        """Whether everything that is needed is there, and how to mend what is not."""
        return examine(self.settings)


_REMEMBERED = 1000
_SUM_SECONDS = 5.0
K = TypeVar("K")
V = TypeVar("V")


def _remember(known: dict[K, V], key: K, value: V) -> V:
    """Keep a value, and not too many of them."""
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = value
    return value


def _log_part(path: Path, offset: int | None, lines: int | None) -> LogPart:
    """At most 1 MB at once. Raises NotFound where there is no log yet."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise NotFound(f"there is no log yet: {path.name} is written when the work starts") from None
    start = max(0, size - _LOG_BYTES) if offset is None else min(max(0, offset), size)
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(_LOG_BYTES)
    if lines is not None:
        data = b"".join(data.splitlines(keepends=True)[-lines:]) if lines > 0 else b""
        return LogPart(data.decode(errors="replace"), size)
    return LogPart(data.decode(errors="replace"), start + len(data))


_LOG_BYTES = 1_000_000
