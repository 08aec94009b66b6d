"""Every page of the service: the browser tests open each, and `make screenshots` takes its picture.

`{job}` stands for the id of a job, `{trial}` and `{other}` for the numbers of trials with a result. A new page is a
line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PAGES: Mapping[str, str] = MappingProxyType(
    {
        "jobs": "/ui/",
        "new-job": "/ui/jobs/new",
        "job": "/ui/jobs/{job}",
        "trial": "/ui/jobs/{job}/trials/{trial}",
        "compare": "/ui/compare?trials={job}/{trial},{job}/{other}",
        "labels": "/ui/jobs/{job}/relabel",
        "spaces": "/ui/spaces",
        "cluster": "/ui/cluster",
        "sign-in": "/ui/sign-in",
    }
)
STEER = ("new-job", "labels")
"""Pages for tokens of scope submit."""
