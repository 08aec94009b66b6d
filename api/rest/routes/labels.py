"""Label quality: trials measured against other labels, questions to raters, label files from their verdicts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api.rest.auth import Reader, Submitter, can_read, can_submit
from api.rest.bodies import section, takes
from api.rest.deps import PREFIX, JobRef, ServiceDep, request_id_of
from api.rest.errors import answers
from api.rest.files import content
from api.rest.schemas.labels import (
    Doubt,
    ImageNumber,
    Labels,
    Questions,
    Reassessment,
    Relabelled,
    Relabelling,
    Verdict,
)
from searchsvc.service.labels.relabel import THRESHOLD

router = APIRouter(prefix=f"{PREFIX}/jobs", tags=["labels"], responses=answers(401, 403, 404, 409, 422))


@router.post(
    "/{job}:reassess",
    operation_id="reassess",
    dependencies=[Depends(can_read), Depends(request_id_of)],
    responses=answers(413, 415),
    openapi_extra=takes("Labels"),
)
def reassess(service: ServiceDep, job: JobRef, sent: Annotated[Labels, Depends(section(Labels))]) -> Reassessment:
    """Measure the finished trials against the labels in the body, and compare the rankings. Nothing is trained."""
    return Reassessment.of(service.labels.reassess(job, sent.labels, k=sent.k))


@router.post(
    "/{job}:relabel",
    operation_id="relabel",
    dependencies=[Depends(can_submit), Depends(request_id_of)],
    responses=answers(413, 415),
    openapi_extra=takes("Doubt"),
)
def relabel(service: ServiceDep, job: JobRef, doubt: Annotated[Doubt, Depends(section(Doubt))]) -> Relabelling:
    """Create questions about labels, which replace earlier questions; verdicts on repeated questions still count."""
    return Relabelling.of(service.labels.relabel(job, networks=doubt.networks, confidence=doubt.confidence))


@router.get("/{job}/relabelling", operation_id="get_relabelling", dependencies=[Depends(can_read)])
def relabelling(service: ServiceDep, job: JobRef) -> Relabelling:
    """Get the progress of the relabelling, and the accuracy of the raters."""
    return Relabelling.of(service.labels.progress(job))


@router.get("/{job}/relabelling/questions", operation_id="list_questions")
def questions(
    token: Reader,
    service: ServiceDep,
    job: JobRef,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of questions.")] = 100,
) -> Questions:
    """List the questions that the owner of the token has not answered yet."""
    return Questions.of(service.labels.questions(job, token.id), limit)


@router.post(
    "/{job}/relabelling/verdicts",
    operation_id="judge",
    status_code=204,
    dependencies=[Depends(request_id_of)],
    responses=answers(413, 415),
    openapi_extra=takes("Verdict"),
)
def judge(
    token: Submitter, service: ServiceDep, job: JobRef, verdict: Annotated[Verdict, Depends(section(Verdict))]
) -> None:
    """Accept or reject a label, as the owner of the token; the last verdict counts."""
    service.labels.judge(job, token.id, verdict.image, verdict.label, verdict.accepted)


@router.get("/{job}/relabelling/labels", operation_id="get_relabelled", dependencies=[Depends(can_read)])
def labels(
    service: ServiceDep,
    job: JobRef,
    threshold: Annotated[
        float, Query(ge=0.5, lt=1, description="Probability from which a label is accepted as correct.")
    ] = THRESHOLD,
) -> Relabelled:
    """Get the label sets from all verdicts so far; an image without verdicts keeps the label of the dataset."""
    return Relabelled.of(service.labels.relabelled(job, threshold=threshold))


@router.get(
    "/{job}/relabelling/images/{image}",
    operation_id="get_validation_image",
    dependencies=[Depends(can_read)],
    response_class=Response,
    responses={200: {"content": content("image/png"), "description": "A PNG."}},
)
def picture(service: ServiceDep, job: JobRef, image: ImageNumber) -> Response:
    """Get a validation image."""
    return Response(service.labels.picture(job, image), media_type="image/png")
