"""Signing in and out, and the cookie that the browser keeps."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import httpx
import pytest
from playwright.sync_api import expect

from searchsvc.service.system.tokens import Scope
from tests.browser.conftest import Console, NewContext, Site, sign_in


def test_the_printed_link_signs_in_once(site: Site) -> None:
    first = httpx.get(site.link)
    assert (first.status_code, first.headers["location"]) == (303, "/ui/")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/ui" in cookie
    again = httpx.get(site.link)
    assert again.headers["location"] == "/ui/sign-in?why=used"
    assert "set-cookie" not in again.headers


def test_a_form_of_another_site_signs_nobody_in(site: Site) -> None:
    body = {"token": site.secret(Scope.READ)}
    answer = httpx.post(f"{site.address}/ui/session", data=body, headers={"Origin": "http://elsewhere.example"})
    assert answer.headers["location"].startswith("/ui/sign-in?why=elsewhere")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("onward", ["https://elsewhere.example/", "//elsewhere.example", "/ui//elsewhere.example"])
def test_signing_in_leads_nowhere_else(site: Site, onward: str) -> None:
    answer = httpx.post(f"{site.address}/ui/session", data={"token": site.secret(Scope.READ), "next": onward})
    assert answer.headers["location"] == "/ui/"


def test_pages_load_nothing_from_elsewhere_and_rest_keeps_its_own_headers(site: Site) -> None:
    sign_in_page = httpx.get(f"{site.address}/ui/sign-in")
    assert sign_in_page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "https://" not in sign_in_page.text
    page = httpx.get(f"{site.address}/ui/", cookies={f"searchsvc_{site.port}": site.secret(Scope.READ)})
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "https://" not in page.text.replace("https://nicegui.io", "")
    unknown = httpx.get(f"{site.address}/api/v1/nothing")
    assert unknown.headers["content-type"] == "application/problem+json"
    assert unknown.headers["content-security-policy"].startswith("default-src 'none'")
    assert httpx.get(f"{site.address}/").headers["location"] == "/ui/"


def test_a_token_signs_in_and_what_is_wrong_is_said(site: Site, new_context: NewContext) -> None:
    context = new_context()
    page = context.new_page()
    page.goto(f"{site.address}/ui/spaces")
    expect(page.get_by_text("Sign in to see this page.")).to_be_visible()
    page.fill("#token", "ssvc_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This token is unknown")).to_be_visible()
    token, secret = site.service.access.create("guest", scope=Scope.READ)
    page.fill("#token", secret)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Spaces")).to_be_visible()
    site.service.access.revoke(token.id)
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, site, site.secret(Scope.READ))
    page.click("text=Sign out")
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert context.cookies() == []
    context.close()


def test_signing_out_in_one_tab_signs_out_the_others_and_nobody_else(site: Site, new_context: NewContext) -> None:
    mine, other = new_context(), new_context()
    here, there, elsewhere = mine.new_page(), mine.new_page(), other.new_page()
    sign_in(here, site, site.secret(Scope.READ))
    sign_in(elsewhere, site, site.secret(Scope.READ))
    there.goto(f"{site.address}/ui/spaces")
    here.get_by_role("button", name="Sign out").click()
    expect(there.get_by_text("You are signed out.")).to_be_visible()
    expect(elsewhere.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    mine.close()
    other.close()


def test_a_page_leaves_when_its_sign_in_expires(site: Site, new_context: NewContext, console: Console) -> None:
    console.forgive("401")
    context = new_context()
    page = context.new_page()
    token, secret = site.service.access.create("short", scope=Scope.READ, expires_seconds=3600.0)
    sign_in(page, site, secret)
    with closing(sqlite3.connect(site.service.settings.data_dir / "searchsvc.db")) as database, database:
        database.execute("UPDATE tokens SET expires_at = 1.0 WHERE id = ?", (token.id,))  # as if the hour had passed
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    context.close()
