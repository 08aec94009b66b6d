"""The options of Optuna's methods, without the methods: Optuna takes seconds to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from searchsvc.algorithms.options import MethodOptions


class TpeOptions(MethodOptions):
    """Options of TPE, with Optuna's defaults."""

    example: ClassVar[Mapping[str, Any]] = {"startup_trials": 4}

    startup_trials: Annotated[
        int, Field(ge=1, le=100_000, description="Number of results up to which draws are uniform.")
    ] = 10
    draws: Annotated[
        int,
        Field(
            ge=1,
            le=100_000,
            description="Draws from the density of good results; the draw with the best ratio is proposed.",
        ),
    ] = 24
    multivariate: Annotated[
        bool | None,
        Field(description="Whether to model parameters jointly; null: yes with one objective, no with several."),
    ] = None


class GpOptions(MethodOptions):
    """Options of GP, with Optuna's defaults; `window` bounds a cost that is cubic in the number of results."""

    example: ClassVar[Mapping[str, Any]] = {"startup_trials": 4, "window": 12}

    startup_trials: Annotated[
        int, Field(ge=1, le=100_000, description="Number of results up to which draws are uniform.")
    ] = 10
    window: Annotated[
        int,
        Field(ge=2, le=100_000, description="Maximum number of results in the model: the best half and the latest."),
    ] = 300


class NsgaOptions(MethodOptions):
    """Options of NSGA-II, with Optuna's defaults."""

    example: ClassVar[Mapping[str, Any]] = {"population": 5}

    population: Annotated[int, Field(ge=2, le=100_000, description="Candidates per generation.")] = 50
    crossover: Annotated[float, Field(ge=0, le=1, description="Probability that a child has two parents.")] = 0.9
    swapping: Annotated[
        float, Field(ge=0, le=1, description="Probability that a crossover takes a parameter from the second parent.")
    ] = 0.5
    mutation: Annotated[
        float | None,
        Field(ge=0, le=1, description="Probability that a parameter mutates; null: one mutation per child on average."),
    ] = None


class CmaEsOptions(MethodOptions):
    """Options of CMA-ES, with Optuna's defaults."""

    example: ClassVar[Mapping[str, Any]] = {"population": 4}

    startup_trials: Annotated[
        int, Field(ge=1, le=100_000, description="Number of results up to which draws are uniform.")
    ] = 1
    population: Annotated[
        int | None, Field(ge=2, le=100_000, description="Candidates per generation; null: 4 + 3 ln(dimensions).")
    ] = None
