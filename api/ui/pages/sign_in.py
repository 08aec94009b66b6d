"""The sign-in page: a form for a token."""

from __future__ import annotations

from fastapi import Request
from nicegui import ui

from api.ui.frame import set_up, theme_button
from api.ui.parts.widgets import Text, box, notice
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


def register() -> None:
    ui.page("/sign-in")(sign_in_page)


def sign_in_page(request: Request) -> None:
    """Show the form, which needs no token."""
    set_up(request, "Sign in")
    with box("content"), box("card sign-in"):
        Text("h1", "Sign in to searchsvc")
        why = request.query_params.get("why", "")
        if why in WHY:
            notice(WHY[why], bad=why in ("refused", "away", "elsewhere"))
        with box("stack", "form") as form:
            form.props["method"], form.props["action"] = "post", f"{PATH}/session"
            Text("label", "Token").props["for"] = "token"
            field = box("field mono", "input")
            field.props.update({"id": "token", "name": "token", "type": "password", "autocomplete": "current-password"})
            field.props["required"], field.props["autofocus"] = True, True
            onward = box("", "input")
            onward.props.update({"type": "hidden", "name": "next"})
            onward.props["value"] = local_path(request.query_params.get("next", ""))
            with box("row spread"):
                Text("button", "Sign in", "primary").props["type"] = "submit"
                theme_button()
        Text(
            "p",
            "Your token on this machine is in the data folder (~/.searchsvc/token). "
            "Create others with: searchctl token create",
            "muted small",
        )
