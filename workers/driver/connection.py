"""The driver's connection to Ray, with Ray's logging off."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from searchsvc.errors import RuntimeUnavailable
from workers.driver import tune_run


@contextmanager
def to_ray(address: str) -> Iterator[None]:
    """Connect to Ray for the duration of the context; actors end with the connection. Raises RuntimeUnavailable."""
    tune_run.prepare_environment()
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except (ConnectionError, RuntimeError, TimeoutError) as error:
        raise RuntimeUnavailable(f"there is no Ray at {address}: {error}") from error
    try:
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        yield
    finally:
        ray.shutdown()
