"""Every page of the service, in one place: the browser tests look at each, and `make screenshots` takes its picture.

`{job}` stands for the id of a job, `{trial}` for the number of a trial with a result. A new page is one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PAGES: Mapping[str, str] = MappingProxyType(
    {
        "jobs": "/ui/",
        "job": "/ui/jobs/{job}",
        "trial": "/ui/jobs/{job}/trials/{trial}",
        "spaces": "/ui/spaces",
        "sign-in": "/ui/sign-in",
    }
)
