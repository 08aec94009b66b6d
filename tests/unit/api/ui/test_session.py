"""Single-use sign-in links."""

from __future__ import annotations

import pytest

from api.ui.session import LINK_SECONDS, Links, local_path, sign_in_path
from tests.support.jobs import Clock


def test_a_link_is_good_once() -> None:
    links = Links(Clock())
    code = links.make("secret", "/ui/jobs/one").rpartition("/")[2]
    assert [links.take(code), links.take(code), links.take("guess")] == [("secret", "/ui/jobs/one"), None, None]


def test_a_link_grows_old() -> None:
    clock = Clock()
    links = Links(clock)
    code = links.make("secret").rpartition("/")[2]
    clock.now += LINK_SECONDS
    assert links.take(code) is None


@pytest.mark.parametrize(
    "path", ["", "/", "/api/v1/jobs", "https://a.example/ui/", "/ui/\\a.example", "/ui//a.example"]
)
def test_only_pages_of_ours_are_gone_on_to(path: str) -> None:
    assert local_path(path) == "/ui/"


def test_a_page_to_go_on_to_is_kept() -> None:
    assert local_path("/ui/jobs/a-job") == "/ui/jobs/a-job"
    assert sign_in_path("needed", "/ui/jobs/a b") == "/ui/sign-in?why=needed&next=%2Fui%2Fjobs%2Fa+b"
