"""JobSpec: a submitted search as a document. It is data and never code.

This module checks the document by itself (names, types, ranges). `searchsvc.service.planning.resolve` makes the checks
that need the dataset or the tables of algorithms, spaces and tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from searchsvc.domain.faults import Matching, faults_of
from searchsvc.domain.metrics import Constraint, Objective
from searchsvc.domain.parameters import Categorical, Name, Parameter, Scalar
from searchsvc.errors import Fault, InvalidInput

_MOST_CHOICES = 100_000
ShortText: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]
PathText: TypeAlias = Annotated[str, Field(min_length=1, max_length=4096)]
_TABLE_WORDS = "begin with a letter or digit and hold only letters, digits and . _ - (at most 64 characters)"
TableName: TypeAlias = Annotated[str, Matching(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", _TABLE_WORDS)]
TableReference: TypeAlias = Annotated[
    str,
    Matching(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(@[0-9a-f]{16})?$", f"{_TABLE_WORDS}, or end with @ and its digest"),
]
"""Name of a table; with a digest, the table with that content."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Named(_Section):
    """A section that names an entry of a table; every other key is an option of that entry, checked by the table."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)

    name: ShortText

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class NamedDataset(_Named):
    """A dataset that ships with a dependency or derives from such a dataset; every other key is an option of it."""


class FileDataset(_Named):
    """A dataset on disk, read by `format`; every other key is an option of the format."""

    name: ShortText = "files"
    format: ShortText
    path: PathText


class NarrowedRange(_Section):
    """A part of a numeric parameter's range; an omitted end stays unchanged."""

    low: float | None = None
    high: float | None = None


class _SpaceSection(_Section):
    fix: Mapping[str, Scalar] = Field(default_factory=dict)
    narrow: Mapping[str, NarrowedRange | tuple[Scalar, ...]] = Field(default_factory=dict)


class NamedSpace(_SpaceSection):
    """A shipped space, in which parameters may be pinned (`fix`) or restricted (`narrow`)."""

    name: ShortText
    latency: TableReference | None = None
    """Table of operator latencies (`searchctl latency`), which makes `latency` a cost; None: the latency is unknown."""


class InlineSpace(_SpaceSection):
    """Parameters written in the document."""

    parameters: Annotated[tuple[Parameter, ...], Field(max_length=1000)]

    @field_validator("parameters")
    @classmethod
    def _not_empty(cls, parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
        if not parameters:
            raise ValueError("an empty space has nothing to search: name at least one parameter")
        choices = sum(len(parameter.choices) for parameter in parameters if isinstance(parameter, Categorical))
        if choices > _MOST_CHOICES:
            message = f"a space has at most {_MOST_CHOICES:,} choices in all its parameters, this space has {choices:,}"
            raise ValueError(f"{message}: make an integer of those that are numbers")
        return parameters


class ModelSource(_Section):
    """Location of a trained network: exactly one of the first four fields.

    A user may name any of them; the stored spec is pinned: a trial instead of a job, an absolute path, and the digest.
    """

    job: ShortText | None = None
    """A job, of which the best trial is meant."""
    trial: ShortText | None = None
    """A trial, as an id or JOB/NUMBER."""
    file: PathText | None = None
    """A file with weights by name: safetensors, or saved by torch."""
    timm: ShortText | None = None
    """A network of timm whose weights are on this machine's disk."""
    sha256: Annotated[str, Matching(r"^[0-9a-f]{64}$", "be a digest of 64 hexadecimal digits")] | None = None
    """Digest of the file with the weights; a file with another digest is refused."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        named = [source for source in SOURCES if getattr(self, source) is not None]
        if len(named) != 1:
            raise ValueError(f"name one of {', '.join(SOURCES)}, not {' and '.join(named) or 'none'}")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if value is not None}


SOURCES = ("job", "trial", "file", "timm")


class AlgorithmSpec(_Named):
    """An algorithm and its options."""


class StoppingSpec(_Named):
    """A stopping rule and its options."""

    name: ShortText = "none"


class Fidelity(_Section):
    """Extent of the training of each trial."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 8
    data_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0


class Budget(_Section):
    """Limits of a whole job, which ends when it reaches the first of them."""

    trials: Annotated[int, Field(ge=1, le=10_000_000)]
    seconds: Annotated[float, Field(gt=0, le=1e9)] | None = None
    gpu_hours: Annotated[float, Field(gt=0, le=1e9)] | None = None


class Resources(_Section):
    """Resources and limits of each trial."""

    cpu: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    gpu: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    memory_bytes: Annotated[int, Field(ge=0, le=2**50)] = 0
    trial_seconds: Annotated[float, Field(gt=0, le=1e9)] | None = None
    concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Maximum number of simultaneous trials; None: as many as fit the cluster."""
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    """Maximum executions of a trial that is LOST or OUT_OF_MEMORY; STORAGE is always retried, other failures never."""
    compile: bool = False
    """Compile each network for its GPU before training, which takes a minute and pays off in long trainings."""
    workers: Annotated[int, Field(ge=1, le=1024)] = 1
    """Processes that train a supernet together, each with the resources of a trial; a candidate uses a single process.
    """

    @field_validator("gpu")
    @classmethod
    def _whole_above_one(cls, gpu: float) -> float:
        if gpu > 1 and not gpu.is_integer():
            raise ValueError("a trial takes a fraction of one GPU or a whole number of GPUs")
        return gpu


def _which(tag: str, otherwise: str, key: str) -> Discriminator:
    def pick(value: Any) -> str:
        present = key in value if isinstance(value, Mapping) else hasattr(value, key)
        return tag if present else otherwise

    return Discriminator(pick)


def _which_images(value: Any) -> str:
    if isinstance(value, str):
        return "rest"
    return "files" if isinstance(value, FileDataset) or (isinstance(value, Mapping) and "format" in value) else "named"


Dataset: TypeAlias = Annotated[
    Annotated[FileDataset, Tag("files")] | Annotated[NamedDataset, Tag("named")], _which("files", "named", "format")
]
SpaceSection: TypeAlias = Annotated[
    Annotated[InlineSpace, Tag("inline")] | Annotated[NamedSpace, Tag("named")], _which("inline", "named", "parameters")
]


Unlabelled: TypeAlias = Annotated[
    Annotated[Literal["rest"], Tag("rest")]
    | Annotated[FileDataset, Tag("files")]
    | Annotated[NamedDataset, Tag("named")],
    Discriminator(_which_images),
]


class SelfTrainingSpec(_Section):
    """Settings by which trials with `self_training: true` learn from unlabelled images."""

    around: ShortText | None = None
    """Task of the trials, if the task of the job is `self_training`."""
    unlabelled: Unlabelled = "rest"
    """Section of a dataset, whose labels are ignored; rest: the training images beyond the data fraction."""
    teacher: ModelSource | None = None
    """A trained teacher; None: each trial trains its own first."""
    rounds: Annotated[int, Field(ge=1, le=10)] = 1
    """Number of rounds; the student of each is the teacher of the next."""
    teacher_epochs: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Epochs of a teacher that a trial trains; None: as many as the student has."""


class JobSpec(_Section):
    """A complete search: task, data, space, objectives, constraints, algorithm, fidelity and budget."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=128),
        Matching(
            r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$",
            "begin with a letter or digit and hold only letters, digits, blanks and . _ -",
        ),
    ]
    task: ShortText
    dataset: Dataset
    space: SpaceSection
    pretrained: ModelSource | None = None
    """Initial weights of trials with `init: pretrained`; None: all trials start from random weights."""
    self_training: SelfTrainingSpec | None = None
    """Settings for trials with `self_training: true`; None: no trial is self-trained."""
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1, max_length=8)]
    constraints: Annotated[tuple[Constraint, ...], Field(max_length=32)] = ()
    algorithm: AlgorithmSpec
    stopping: StoppingSpec = StoppingSpec()
    """If omitted, the rule that suits the algorithm (see `searchsvc.service.planning.resolve`)."""
    fidelity: Fidelity = Fidelity()
    budget: Budget
    resources: Resources = Resources()
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    repeats: bool = False
    """True if a repeated candidate is trained again, instead of reusing the stored result."""
    tags: Annotated[tuple[Name, ...], Field(max_length=32)] = ()

    @field_validator("objectives")
    @classmethod
    def _metrics_differ(cls, objectives: tuple[Objective, ...]) -> tuple[Objective, ...]:
        if len({objective.metric for objective in objectives}) < len(objectives):
            raise ValueError("each objective needs a metric of its own")
        return objectives

    @classmethod
    def parse(cls, document: object) -> JobSpec:
        """Return the spec that `document` (parsed JSON or YAML) describes.

        Raises InvalidInput with one fault per wrong place, each at its JSON pointer.
        """
        spec, faults = cls.read(document)
        if faults:
            raise InvalidInput(faults)
        return spec

    @classmethod
    def read(cls, document: object) -> tuple[JobSpec, tuple[Fault, ...]]:
        """Return the spec that `document` describes, and its faults; sections with faults are replaced by stand-ins.

        The other sections can then be checked further. Raises InvalidInput if the document is no mapping.
        """
        if not isinstance(document, Mapping):
            raise InvalidInput.at("", f"a job spec is a mapping of keys to values, not {_kind(document)}")
        try:
            return cls.model_validate(document), ()
        except ValidationError as error:
            faults = tuple(faults_of(error, document, cls))
        broken = {section_of(fault) for fault in faults}
        sound = {key: document[key] for key in cls.model_fields if key in document and key not in broken}
        return cls.model_validate({**_STAND_INS, **sound}), faults

    def document(self) -> dict[str, Any]:
        """Return the spec as plain JSON values, including defaults; `parse` is the inverse."""
        return self.model_dump(mode="json")


_STAND_INS: Mapping[str, Any] = MappingProxyType(
    {
        "name": "unnamed",
        "task": "unnamed",
        "dataset": {"name": "unnamed"},
        "space": {"name": "unnamed"},
        "objectives": [{"metric": "unnamed"}],
        "algorithm": {"name": "random"},
        "budget": {"trials": 1},
    }
)
"""Sections that must be there; checks of a stand-in are not reported."""


def section_of(fault: Fault) -> str:
    """Return the section of a spec that a fault is in."""
    return fault.pointer[1:].partition("/")[0].replace("~1", "/").replace("~0", "~")


def _kind(document: object) -> str:
    return {type(None): "nothing", str: "a text", list: "a list"}.get(type(document), f"a {type(document).__name__}")
