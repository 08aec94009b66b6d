"""Tables with every candidate of a finite space, trained with several seeds, from npz files.

| symbol | meaning | shape |
|---|---|---|
| n, d, r | candidates, parameters, training seeds | |
| codes | the choice of each parameter, as an index into its list of choices | (n, d) |
| values | the objective of every candidate after each training; NaN without a training with that seed | (n, r) |

The reader of a table is a function: it names the arrays of its file and passes them to `BenchmarkTable.of`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.metrics import Objective
from searchsvc.domain.parameters import Categorical, Scalar
from searchsvc.errors import InvalidInput, NotFound
from searchsvc.spaces.costs.model import CostModel, Costs
from searchsvc.spaces.space import Matrix, Space

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class BenchmarkTable:
    """Results of all candidates. Rows are in the order of the space: the last parameter changes fastest."""

    space: Space
    """Categorical parameters only."""
    objective: Objective
    values: Matrix
    """(n, r)"""
    means: Matrix
    """(n,) over the available training seeds."""
    costs: Mapping[str, Matrix]
    """Costs known before training: metric -> (n,)."""

    @classmethod
    def of(
        cls,
        choices: Mapping[str, Sequence[Scalar]],
        codes: Array,
        objective: Objective,
        values: Array,
        costs: Mapping[str, Array],
    ) -> BenchmarkTable:
        """Return the table of `codes` (n, d), `values` (n, r) and `costs` (n,), whose rows may have any order.

        Raises InvalidInput if a candidate is missing, repeated, or without any value.
        """
        sizes = [len(options) for options in choices.values()]
        if codes.shape[1:] != (len(sizes),) or (codes >= sizes).any():
            raise InvalidInput.at(
                "/codes",
                f"codes must have one column per parameter, with values below {sizes}; their shape is {codes.shape}",
            )
        places = np.ravel_multi_index(tuple(codes.T.astype(np.intp)), sizes)
        order = np.argsort(places, kind="stable")
        if not np.array_equal(places[order], np.arange(np.prod(sizes))):
            raise InvalidInput.at("/codes", f"a table of {np.prod(sizes)} candidates must have each of them once")
        ordered = values[order].astype(np.float64)
        if np.isnan(ordered).all(axis=1).any():
            raise InvalidInput.at("/values", "every candidate needs the value of one training seed at least")
        return cls(
            Space([Categorical(name, tuple(options)) for name, options in choices.items()]),
            objective,
            ordered,
            np.nanmean(ordered, axis=1),
            {metric: column[order].astype(np.float64) for metric, column in costs.items()},
        )

    def rows(self, matrix: Matrix) -> NDArray[np.intp]:
        """Return the rows (n,) of this table that hold the candidates (n, d)."""
        sizes = [len(parameter.choices) for parameter in self.space.parameters if isinstance(parameter, Categorical)]
        return np.asarray(np.ravel_multi_index(tuple(matrix.T.astype(np.intp)), sizes))

    @property
    def cost_model(self) -> CostModel:
        """The cost model of the space, by lookup in the table."""

        def costs(matrix: Matrix) -> Costs:
            rows = self.rows(matrix)
            return {metric: column[rows] for metric, column in self.costs.items()}

        return CostModel(self.costs, costs)


def nasbench201(path: Path) -> BenchmarkTable:
    """Read NAS-Bench-201 on CIFAR-10 (Dong and Yang 2020).

    Candidates are cells of six edges, with validation accuracy in percent after 200 epochs, and the latency of HELP
    (Lee et al. 2021) on each of its devices.
    """
    ops, names, accuracy, mega_flops, mega_params, devices, latency = _read(
        path,
        *("ops", "op_names", "val_acc_seeds_cifar10", "flops_M_cifar10", "params_M_cifar10"),
        *("device_names", "device_latency_ms"),
    )
    edges = {f"edge{edge}": names.tolist() for edge in range(ops.shape[1])}
    costs = {"flops": mega_flops.astype(np.float64) * 1e6, "params": mega_params.astype(np.float64) * 1e6}
    costs |= {f"latency_{device}_ms": latency[:, column] for column, device in enumerate(devices.tolist())}
    return BenchmarkTable.of(edges, ops, Objective(metric="accuracy"), accuracy, costs)


def fcnet(path: Path, task: str) -> BenchmarkTable:
    """Read FCNet (Klein and Hutter 2019).

    Candidates are networks of two hidden layers together with the recipe that trains them, with their validation loss
    on a regression task. Parameters are counted from the architecture alone.
    """
    codes, names, choices, loss, params = _read(
        path, "index", "param_names", "choices_json", f"val_loss_{task}", f"n_params_{task}"
    )
    options = json.loads(str(choices))
    ordered = {name: options[name] for name in names.tolist()}
    return BenchmarkTable.of(ordered, codes, Objective(metric="loss", goal="minimize"), loss, {"params": params})


def _read(path: Path, *names: str) -> list[Array]:
    """Return arrays of an npz file. Raises NotFound for a missing file, InvalidInput (pointer `/name`) otherwise."""
    if not path.is_file():
        raise NotFound(f"no table at {path}")
    with np.load(path, allow_pickle=False) as arrays:
        missing = [name for name in names if name not in arrays]
        if missing:
            raise InvalidInput.at(f"/{missing[0]}", f"{path.name} has no such array; it has {', '.join(arrays)}")
        return [arrays[name] for name in names]


TABLES: Mapping[str, Callable[[Path], BenchmarkTable]] = MappingProxyType(
    {
        "nasbench201-cifar10": lambda folder: nasbench201(folder / "nb201_cifar10.npz"),
        "fcnet-protein": lambda folder: fcnet(folder / "fcnet_joint.npz", "protein_structure"),
        "fcnet-parkinsons": lambda folder: fcnet(folder / "fcnet_joint.npz", "parkinsons_telemonitoring"),
    }
)
"""Readers of tables from a folder, by name."""
