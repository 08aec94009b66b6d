"""The sign-in page: a form for a token.

Everybody can open it, so it is static: a page of NiceGUI would keep its elements in memory for a minute.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from string import Template

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.ui.parts import theme
from api.ui.session import PATH, local_path

WHY = {
    "needed": "Sign in to see this page.",
    "refused": "This token is unknown, has expired or was revoked.",
    "expired": "Your session has ended: the token has expired or was revoked.",
    "used": "This link was already used or is more than an hour old. Sign in with a token, or run the command again.",
    "out": "You are signed out.",
    "away": "The database does not answer. Try again in a moment.",
    "elsewhere": "This form was sent by another site and was ignored.",
}
_BAD = ("refused", "away", "elsewhere")
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in - searchsvc</title>
<link rel="icon" href="$path/favicon.ico">
<style>$style</style>
</head>
<body$theme>
<main class="content"><div class="card sign-in">
<h1>Sign in to searchsvc</h1>
$notice<form class="stack" method="post" action="$path/session">
<label for="token">Token</label>
<input class="field mono" id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<input type="hidden" name="next" value="$onward">
<div class="row spread"><button class="primary" type="submit">Sign in</button>
<button class="plain" id="theme" type="button" aria-label="Switch between light and dark">◐</button></div>
</form>
<p class="muted small">Your token on this machine is in the data folder (~/.searchsvc/token).
Create others with: searchctl token create</p>
</div></main>
<script>$script</script>
</body>
</html>
""")

router = APIRouter(prefix=PATH, include_in_schema=False)


@router.get("/sign-in")
async def sign_in_page(request: Request) -> HTMLResponse:
    """Show the form, which needs no token."""
    why, chosen = request.query_params.get("why", ""), request.cookies.get("searchsvc_theme", "")
    kind, role = ("notice bad", "alert") if why in _BAD else ("notice", "status")
    page = _PAGE.substitute(
        path=PATH,
        style=_style(),
        script=_script(),
        theme={"dark": ' data-theme="dark" class="body--dark"', "light": ' data-theme="light"'}.get(chosen, ""),
        notice=f'<p class="{kind}" role="{role}">{escape(WHY[why])}</p>\n' if why in WHY else "",
        onward=escape(local_path(request.query_params.get("next", ""))),
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": _policy(), "Referrer-Policy": "same-origin"})


@cache
def _style() -> str:
    return theme.asset("sign_in.css") + theme.css()


@cache
def _script() -> str:
    return theme.asset("shared.js") + theme.asset("sign_in.js")


@cache
def _policy() -> str:
    """Return the Content-Security-Policy: the page's own style and script, and nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {_digest(_style())}",
            f"script-src {_digest(_script())}",
            "img-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
