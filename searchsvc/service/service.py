"""Service: the use cases of the application by noun. REST, searchctl and the web pages all call it."""

from __future__ import annotations

import time
from collections.abc import Callable

from searchsvc.service.results.memo import Memo
from searchsvc.service.system.children import ChildProcesses
from searchsvc.service.use_cases.access import AccessService
from searchsvc.service.use_cases.catalogue import CatalogueService
from searchsvc.service.use_cases.context import ServiceContext
from searchsvc.service.use_cases.events import EventService
from searchsvc.service.use_cases.exports import ExportService
from searchsvc.service.use_cases.jobs import JobService
from searchsvc.service.use_cases.labels import LabelService
from searchsvc.service.use_cases.recommendations import RecommendationService
from searchsvc.service.use_cases.results import ResultService
from searchsvc.service.use_cases.system import SystemService
from searchsvc.service.use_cases.trials import TrialService
from searchsvc.settings import Settings
from searchsvc.store import Store


class Service:
    """The use cases over a store: `service.jobs.submit(...)`, `service.trials.page(...)`, ..."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        children: ChildProcesses | None = None,
    ) -> None:
        """Create the use cases. `children`: processes for heavy work; None: it is done in this process."""
        self.store = store
        self.settings = settings
        self.context = context = ServiceContext(store, settings, clock, Memo(clock=clock), children)
        self.jobs = JobService(context)
        self.trials = TrialService(context)
        self.events = EventService(context)
        self.results = ResultService(context)
        self.recommendations = RecommendationService(context, self.jobs)
        self.labels = LabelService(context)
        self.exports = ExportService(context)
        self.access = AccessService(context)
        self.catalogue = CatalogueService(context)
        self.system = SystemService(context)
