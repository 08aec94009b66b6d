"""Labels: measure trials against other labels, and let people review the labels of the validation images."""

from __future__ import annotations

from searchsvc.domain import Job, Verdict
from searchsvc.labels import LabelDocument
from searchsvc.service.labels import predictions, reassess, relabel
from searchsvc.service.labels.reassess import Reassessment
from searchsvc.service.labels.relabel import CONFIDENCE, NETWORKS, THRESHOLD, Questions, Relabelled, RelabellingProgress
from searchsvc.service.use_cases.context import ServiceContext


class LabelService:
    """The use cases of labels."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._store = context.store

    def reassess(self, job_id: str, labels: LabelDocument, *, k: int = 1) -> Reassessment:
        """Measure the finished trials against the label sets of a label file, and compare both rankings.

        Raises InvalidInput (pointers `/labels/...`, `/k`), and Conflict if no trial has stored its predictions.
        """
        artifacts = self._context.settings.artifacts_dir
        return reassess.reassess(self._store, artifacts, self._context.job(job_id), labels, k)

    def relabel(self, job_id: str, *, networks: int = NETWORKS, confidence: float = CONFIDENCE) -> RelabellingProgress:
        """Create questions about the labels of validation images with which the best, diverse trials disagree.

        The questions replace earlier questions; verdicts stay.
        """
        return relabel.start(
            self._store,
            self._context.settings.artifacts_dir,
            self._context.job(job_id),
            networks=networks,
            confidence=confidence,
            now=self._context.clock(),
        )

    def progress(self, job_id: str) -> RelabellingProgress:
        """Return the progress of a relabelling. Raises Conflict if there are no questions."""
        return relabel.progress(self._store, self._context.job(job_id))

    def questions(self, job_id: str, rater: str) -> Questions:
        """Return the questions that a rater has not answered yet."""
        return relabel.questions(self._store, self._context.job(job_id), rater)

    def judge(self, job_id: str, rater: str, image: int, label: int, accepted: bool | None) -> None:
        """Store a rater's answer, or withdraw it (None). Raises NotFound if the question does not exist."""
        job = self._context.job(job_id)
        if accepted is None:
            relabel.withdraw(self._store, job, rater, image, label)
        else:
            relabel.answer(self._store, job, Verdict(rater, image, label, accepted, self._context.clock()))

    def relabelled(self, job_id: str, *, threshold: float = THRESHOLD) -> Relabelled:
        """Return the label sets that follow from the answers of all raters so far."""
        return relabel.relabelled(self._store, self._context.job(job_id), threshold)

    def can_be_doubted(self, job: Job) -> bool:
        """Return whether the validation images of a job have labels that raters can review."""
        return predictions.has_labels(job)

    def picture(self, job_id: str, image: int) -> bytes:
        """Return a validation image of the job as PNG. Raises NotFound, and Conflict if its dataset cannot be read."""
        return predictions.picture(self._context.job(job_id), image)
