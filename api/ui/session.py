"""Sign-in and sign-out: a form or a single-use link turns a token into a cookie that scripts cannot read.

The cookie holds the token itself, so there is no state to keep: a restart signs nobody out, and a revoked or expired
token is refused at the next request.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse

from api.rest.bodies import text_of
from api.rest.deps import ServiceDep
from searchsvc.domain import Token
from searchsvc.errors import StoreUnavailable, Unauthenticated
from searchsvc.service.system.tokens import Scope

PATH = "/ui"
SIGN_IN = f"{PATH}/sign-in"
COOKIE_SECONDS = 30 * 86_400
LINK_SECONDS = 3600.0

router = APIRouter(prefix=PATH, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Visitor:
    """The visitor of a page."""

    secret: str = field(repr=False)
    token: Token

    def may(self, scope: Scope) -> bool:
        return Scope(self.token.scope).covers(scope)


@dataclass(slots=True)
class Links:
    """Single-use sign-in links, valid for an hour."""

    clock: Callable[[], float] = time.monotonic
    _open: dict[str, tuple[str, str, float]] = field(default_factory=dict, repr=False)

    def make(self, secret: str, onward: str = f"{PATH}/") -> str:
        """Create a link for the token with this secret, which leads on to a page, and return its path.

        The page is kept here: with it, the link would be longer than a line of a terminal.
        """
        code = secrets.token_urlsafe(24)
        self._open[code] = (secret, onward, self.clock() + LINK_SECONDS)
        return f"{PATH}/open/{code}"

    def take(self, code: str) -> tuple[str, str] | None:
        """Use a link. Return its secret and its page, or None if it was used, has expired or never existed."""
        secret, onward, until = self._open.pop(code, ("", "", 0.0))
        return (secret, onward) if secret and self.clock() < until else None


def cookie_of(request: Request) -> str:
    """Return the name of the cookie, which contains the port: browsers send cookies to all ports of a host."""
    return f"searchsvc_{request.url.port or request.url.scheme}"


def secret_of(request: Request) -> str | None:
    return request.cookies.get(cookie_of(request))


def links_of(request: Request) -> Links:
    links: Links = request.app.state.links
    return links


def local_path(path: str) -> str:
    """Return the path if it is a page of this service, otherwise the path of the jobs page."""
    inside = path.startswith(f"{PATH}/") and "//" not in path and "\\" not in path
    return path if inside else f"{PATH}/"


def sign_in_path(why: str = "", onward: str = "") -> str:
    """Return the path of the sign-in page, with the reason to sign in and the page to continue to."""
    query = {name: value for name, value in (("why", why), ("next", onward)) if value}
    return f"{SIGN_IN}?{urlencode(query)}" if query else SIGN_IN


@router.get("/open/{code}")
def open_once(request: Request, code: str, links: Annotated[Links, Depends(links_of)]) -> RedirectResponse:
    """Sign in by a single-use link, and continue to its page."""
    taken = links.take(code)
    if taken is None:
        return RedirectResponse(sign_in_path("used"), 303)
    return _signed_in(request, *taken)


@router.post("/session")
def sign_in(request: Request, service: ServiceDep, body: Annotated[bytes, Depends(text_of)]) -> RedirectResponse:
    """Sign in with a token by the form of the sign-in page."""
    form = parse_qs(body.decode("utf-8", "replace"))
    secret, onward = form.get("token", [""])[0].strip(), local_path(form.get("next", [""])[0])
    if not _is_ours(request):
        return RedirectResponse(sign_in_path("elsewhere", onward), 303)
    try:
        service.access.authenticate(secret)
    except Unauthenticated:
        return RedirectResponse(sign_in_path("refused", onward), 303)
    except StoreUnavailable:
        return RedirectResponse(sign_in_path("away", onward), 303)
    return _signed_in(request, secret, onward)


@router.post("/sign-out")
def sign_out(request: Request) -> RedirectResponse:
    """Delete the cookie; the token stays valid."""
    answer = RedirectResponse(sign_in_path("out"), 303)
    if _is_ours(request):
        answer.delete_cookie(cookie_of(request), path=PATH)
    return answer


def _signed_in(request: Request, secret: str, onward: str) -> RedirectResponse:
    answer = RedirectResponse(onward, 303)
    answer.set_cookie(
        cookie_of(request),
        secret,
        max_age=COOKIE_SECONDS,
        path=PATH,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


def _is_ours(request: Request) -> bool:
    """Return whether a form was sent from a page of this service."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
