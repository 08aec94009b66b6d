"""The page for reviewing labels: one question at a time, answered with a single key."""

from __future__ import annotations

import asyncio

from fastapi import Request, Response
from nicegui import ui
from nicegui.events import KeyEventArguments

from api.ui.context import PageContext
from api.ui.frame import attempt, framed
from api.ui.parts.widgets import Bar, Text, box, card, link
from api.ui.session import PATH, Visitor
from searchsvc.domain import Job
from searchsvc.errors import Conflict
from searchsvc.service.labels.relabel import Question, Questions
from searchsvc.service.system.tokens import Scope, require

_YES, _NO, _UNDO = ("y", "arrowright"), ("n", "arrowleft"), ("u", "backspace")


def register() -> None:
    ui.page("/jobs/{job}/relabel", response_timeout=60)(relabel_page)


async def relabel_page(request: Request, job: str) -> Response | None:
    async def build(context: PageContext, visitor: Visitor) -> None:
        require(visitor.token, Scope.SUBMIT)
        shown = await context.call(context.service.jobs.get, job)
        ui.page_title(f"Labels of {shown.name} - searchsvc")
        link(f"← {shown.name}", f"{PATH}/jobs/{shown.id}", "small")
        Text("h1", "Review validation labels")
        try:
            questions = await context.call(context.service.labels.questions, shown.id, visitor.token.id)
        except Conflict as error:
            _offer(context, visitor, shown, str(error))
        else:
            RelabelPage(context, visitor, shown, questions)

    return await framed(request, "Labels", "", build)


def _offer(context: PageContext, visitor: Visitor, job: Job, why: str) -> None:
    """Show why there are no questions, and a button that creates them."""

    async def make() -> None:
        done = "Questions created."
        if await attempt(context, visitor, Scope.SUBMIT, lambda: context.service.labels.relabel(job.id), done):
            ui.navigate.reload()

    with card("No questions yet", why):
        Text("p", "The best trials that differ from each other propose labels. People accept or reject them here.")
        with box("row"):
            button = Text("button", "Create questions", "primary")
        button.props["type"] = "button"
        button.on("click", make)


class RelabelPage:
    """The questions of a rater."""

    def __init__(self, context: PageContext, visitor: Visitor, job: Job, questions: Questions) -> None:
        self._context, self._visitor, self._job, self._questions = context, visitor, job, questions
        self._place, self._turn = 0, asyncio.Lock()
        with box("card"), box("budget"):
            Text("span", "answered", "muted")
            self._bar, self._count = Bar("answered"), Text("span")
        with box("card") as self._card:
            self._card.props["aria-live"] = "polite"
            self._question = Text("h2")
            self._picture = box("", "img").style("width: min(420px, 100%); image-rendering: pixelated")
            self._name = Text("p", "", "muted small wrap")
            self._ahead = box("hidden", "img")
            self._ahead.props["alt"] = ""
            with box("row"):
                for label, accepted in (("Yes (Y)", True), ("No (N)", False)):
                    button = Text("button", label, "primary" if accepted else "plain")
                    button.props["type"] = "button"
                    button.on("click", lambda _, accepted=accepted: self._judge(accepted))
        with box("card hidden") as self._done:
            Text("h2", "All questions answered")
            Text("p", "To export the labels from the answers of all raters so far:", "muted")
            Text("pre", f"searchctl relabel {job.id} --output labels.csv", "log mono")
        with box("row"):
            undo = Text("button", "Undo (U)", "plain")
            undo.props["type"] = "button"
            undo.on("click", lambda _: self._undo())
            Text("span", "Keys: Y or → for yes, N or ← for no, U or Backspace to undo the last answer.", "muted small")
        ui.keyboard(on_key=self._pressed, ignore=["input", "select", "textarea"])
        self._show()

    async def _pressed(self, event: KeyEventArguments) -> None:
        pressed = event.modifiers
        if not event.action.keydown or event.action.repeat or pressed.ctrl or pressed.alt or pressed.meta:
            return
        key = event.key.name.lower()
        if key in (*_YES, *_NO):
            await self._judge(key in _YES)
        elif key in _UNDO:
            await self._undo()

    async def _judge(self, accepted: bool) -> None:
        """Store an answer. Answers are stored in turn, however fast keys are pressed."""
        async with self._turn:
            if self._place < len(self._questions.items) and await self._store(
                self._questions.items[self._place], accepted
            ):
                self._place += 1
                self._show()

    async def _undo(self) -> None:
        async with self._turn:
            if self._place and await self._store(self._questions.items[self._place - 1], None):
                self._place -= 1
                self._show()

    async def _store(self, question: Question, accepted: bool | None) -> bool:
        rater, service = self._visitor.token.id, self._context.service
        image, label = question.image, question.label
        return await attempt(
            self._context,
            self._visitor,
            Scope.SUBMIT,
            lambda: service.labels.judge(self._job.id, rater, image, label, accepted),
        )

    def _show(self) -> None:
        questions, answered = self._questions, self._questions.answered + self._place
        self._bar.show(answered / max(1, questions.total))
        self._count.set_text(f"{answered} of {questions.total}")
        is_done = self._place == len(questions.items)
        self._card.set_visibility(not is_done)
        self._done.classes(remove="hidden") if is_done else self._done.classes(add="hidden")
        if is_done:
            return
        question = questions.items[self._place]
        self._question.set_text(f"Does this image show: {question.class_name}?")
        self._picture.props["src"], self._picture.props["alt"] = self._source(question), f"image {question.name}"
        self._name.set_text(question.name)
        if self._place + 1 < len(questions.items):
            self._ahead.props["src"] = self._source(questions.items[self._place + 1])

    def _source(self, question: Question) -> str:
        return f"{PATH}/files/{self._job.id}/validation/{question.image}"
