"""The new-job page: a spec as text, with a form for its common settings; checked while it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from fastapi import Request, Response
from nicegui import background_tasks, ui

from api.ui.context import PageContext
from api.ui.frame import attempt, error_text, framed
from api.ui.pages.new_job.checks import DraftChecks
from api.ui.pages.new_job.draft import Draft
from api.ui.pages.new_job.dry_run import DryRunPanel
from api.ui.pages.new_job.form import Form, TaskOptions, task_options
from api.ui.pages.new_job.problems import ProblemList
from api.ui.parts.fields import Choice
from api.ui.parts.widgets import Text, box, card, link
from api.ui.session import PATH, Visitor
from searchsvc.errors import SearchsvcError
from searchsvc.service.documents.documents import load_document
from searchsvc.service.documents.drafts import Example
from searchsvc.service.documents.yaml_text import Path, changed
from searchsvc.service.system.tokens import Scope, require

FIRST = "digits"
"""Name of the example that the page starts with."""
_ASSETS = FilePath(__file__).parents[2] / "assets"


def register() -> None:
    ui.page("/jobs/new", response_timeout=30)(new_job_page)


async def new_job_page(request: Request) -> Response | None:
    """Show the editor. `?from=JOB`: start with the spec of that job."""
    source = request.query_params.get("from")

    async def build(context: PageContext, visitor: Visitor) -> None:
        require(visitor.token, Scope.SUBMIT)
        examples = {one.name: one for one in await context.call(context.service.catalogue.examples)}
        text = await context.call(context.service.catalogue.draft, source) if source else examples[FIRST].text
        page = NewJobPage(context, visitor, await context.call_slow(task_options, context.service))
        page.lay_out(text, examples, chosen="" if source else FIRST)

    return await framed(request, "New job", "Jobs", build)


class NewJobPage:
    """The editor, its form and its panels."""

    def __init__(self, context: PageContext, visitor: Visitor, offered: Mapping[str, TaskOptions]) -> None:
        self._context, self._visitor, self._offered = context, visitor, offered
        self._checks = DraftChecks(context, self._show)
        self._editing = asyncio.Lock()
        self._valid_text: str | None = None
        """The last text without problems."""

    def lay_out(self, text: str, examples: Mapping[str, Example], chosen: str) -> None:
        """Build the page, and check the text until the page is closed."""
        ui.add_head_html(f"<style>{_asset('editor.css')}</style><script>{_asset('editor.js')}</script>")
        link("← All jobs", f"{PATH}/", "small")
        with box("row spread"):
            Text("h1", "New job")
            with box("row"):
                start = Choice("Start from", lambda name: self._begin_with(examples, name), ["", *examples])
                self._submit = Text("button", "Submit", "primary")
        start.show(chosen)
        self._submit.props["type"], self._submit.props["disabled"] = "button", True
        self._submit.on("click", self._send)
        with box("grid new-job"):
            with box("stack"):
                with card("Spec", "The job in YAML. The fields below edit this text and follow it."):
                    self._editor = ui.codemirror(text, language="YAML", indent="  ", line_wrapping=True)
                    self._editor.on_value_change(lambda: self._checks.request(self._editor.value))
                    ui.run_javascript(f"setUpEditor({self._editor.id}, 'Job spec')")
                with card("Common settings"):
                    self._form = Form(self._offered, self._edit)
            with box("stack"):
                self._problems = ProblemList(self._go_to)
                self._plan = DryRunPanel()
        self._checks.request(text)
        task = background_tasks.create(self._checks.run(ui.context.client), name="checks of a draft")
        ui.context.client.on_delete(lambda: task.cancel())

    def _show(self, draft: Draft) -> None:
        self._valid_text = draft.text if draft.plan is not None else None
        self._problems.show(draft)
        self._plan.show(draft.plan)
        self._form.show(draft.document)
        self._editor.decorations = [
            {"kind": "line", "line": line, "class": "wrong-line"} for line in sorted({one.line for one in draft.marks})
        ]
        self._editor.line_tooltips = {
            line: "\n".join(one.message for one in draft.marks if one.line == line)
            for line in {one.line for one in draft.marks}
        }
        self._enable(draft.plan is not None)

    def _enable(self, ready: bool) -> None:
        if ready:
            self._submit.props.pop("disabled", None)
        else:
            self._submit.props["disabled"] = True

    def _go_to(self, line: int) -> None:
        self._editor.reveal_line(line)

    def _begin_with(self, examples: Mapping[str, Example], name: str) -> None:
        if name in examples:
            self._editor.value = examples[name].text

    async def _edit(self, changes: Sequence[tuple[Path, Any]]) -> None:
        """Apply changes of a field to the text. Changes of several fields are applied in turn, so that none is lost."""
        async with self._editing:
            try:
                text, document = await self._context.call(_edited, self._editor.value, changes)
            except SearchsvcError as error:
                ui.notify(f"Fix the spec first. {error_text(error)}", type="negative")
                return
            self._editor.value = text
            self._form.show(document)

    async def _send(self) -> None:
        text, jobs = self._editor.value, []
        self._enable(False)
        await attempt(
            self._context,
            self._visitor,
            Scope.SUBMIT,
            lambda: jobs.append(
                self._context.service.jobs.submit(load_document(text), owner=self._visitor.token)[0]
            ),
            "Submitted.",
        )
        if jobs:
            ui.navigate.to(f"/jobs/{jobs[0].id}")
        else:
            self._enable(text == self._valid_text)


def _edited(text: str, changes: Sequence[tuple[Path, Any]]) -> tuple[str, Mapping[str, Any]]:
    """Return the text with the changes, and its document. Raises InvalidInput if the text cannot be parsed."""
    load_document(text)
    for path, value in changes:
        text = changed(text, path, value)
    return text, load_document(text)


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
