"""The documentation covers every setting, command, option and table entry; links, files and names in it exist."""

from __future__ import annotations

import ast
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from api.cli.exits import Exit
from api.cli.main import app
from searchsvc import tasks
from searchsvc.algorithms import ALGORITHMS
from searchsvc.algorithms.stopping.table import STOPPING_RULES
from searchsvc.domain import FailureKind, JobSpec, JobState, Resources, TrialState
from searchsvc.domain.life_cycle import LIFE_CYCLE, SITUATIONS, Refusal, Situation, Trigger
from searchsvc.service.exports import export
from searchsvc.settings import SETTINGS
from searchsvc.spaces import recipe
from searchsvc.spaces.catalogue import SPACES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGES = ("api", "searchsvc", "workers")
PAGES = [*sorted(DOCS.rglob("*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield (`searchctl token create`, command) for all commands below a group."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join(("searchctl", *path, name)), command


COMMANDS = dict(commands(get_command(app)))


def section(text: str, heading: str) -> str:
    """Return the text below a heading, up to the next heading of any level."""
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"no section {heading!r}"
    return match[1]


def situation_words(situation: Situation) -> str:
    request = f", {situation.request} requested" if situation.request else ""
    return f"{situation.state}{request}{', driver lost' * (situation.state.is_driven and not situation.has_driver)}"


def effect_words(situation: Situation, trigger: Trigger) -> str:
    effect = LIFE_CYCLE[situation, trigger]
    if isinstance(effect, Refusal):
        return "refused" if trigger.is_verb else ""
    if effect.event is None and trigger is not Trigger.LOST:
        return "no change"
    return "deleted" if effect.after is None else situation_words(effect.after)


def life_cycle_table(triggers: list[Trigger]) -> list[str]:
    """Return the lines of the table in `docs/guarantees.md`; rows in which nothing is possible are left out."""
    rows = [(situation_words(one), *(effect_words(one, trigger) for trigger in triggers)) for one in SITUATIONS]
    lines = [("state of the job", *triggers), ("---",) * (len(triggers) + 1), *(row for row in rows if any(row[1:]))]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


@pytest.mark.parametrize("of_users", [True, False])
def test_the_life_cycle_of_a_job_is_documented_as_the_table_of_the_code(of_users: bool) -> None:
    triggers = [trigger for trigger in Trigger if trigger.is_verb is of_users]
    assert "\n".join(life_cycle_table(triggers)) in page("guarantees.md")
    assert [trigger for trigger in triggers if f"`{trigger}`" not in section(page("guarantees.md"), "Life cycle")] == []


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_documented_with_its_words(name: str) -> None:
    rows = [line for line in page("settings.md").splitlines() if line.startswith(f"| `SEARCHSVC_{name.upper()}` |")]
    assert len(rows) == 1
    assert SETTINGS[name].description in rows[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_its_options(name: str) -> None:
    text = section(page("cli.md"), name)
    options = {
        option for one in COMMANDS[name].params for option in (*one.opts, *one.secondary_opts) if option[0] == "-"
    }
    assert {option for option in options - {"--help", "-h"} if f"`{option}`" not in text} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert [one.name for one in command.params if not one.help and one.name not in ("help", "ctx")] == []


@pytest.mark.parametrize(
    "name", sorted(COMMANDS.keys() - {"searchctl serve", "searchctl controller", "searchctl completion"})
)
def test_every_command_that_answers_can_answer_in_json(name: str) -> None:
    assert any("--json" in one.opts for one in COMMANDS[name].params)


@pytest.mark.parametrize("name", export.names())
def test_every_export_format_is_documented(name: str) -> None:
    text = section(page("cli.md"), "searchctl export")
    assert f"| `{name}` |" in text
    [option] = [one for one in COMMANDS["searchctl export"].params if one.name == "format"]
    assert name in option.help


@pytest.mark.parametrize("code", Exit)
def test_every_exit_code_is_documented(code: Exit) -> None:
    assert f"| {code.value} |" in section(page("cli.md"), "Exit codes")


@pytest.mark.parametrize("entry", [*ALGORITHMS.values(), *STOPPING_RULES.values()], ids=lambda one: one.name)
def test_every_algorithm_and_rule_is_documented_with_its_options(entry: Any) -> None:
    text = section(page("algorithms.md"), entry.name)
    assert [option for option in entry.options.model_fields if f"| `{option}` |" not in text] == []


@pytest.mark.parametrize("entry", SPACES.values(), ids=lambda one: one.name)
def test_every_space_is_documented_with_its_parameters(entry: Any) -> None:
    text = section(page("spaces.md"), entry.name)
    assert [name for name in entry.space.names if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("heading", "name", "value"),
    [
        *(("Recipe", *one) for one in recipe.CLASSIFICATION.defaults.items()),
        *(("Recipe of detectors", *one) for one in recipe.DETECTION.defaults.items()),
    ],
)
def test_every_part_of_a_recipe_is_documented_with_its_default(heading: str, name: str, value: Any) -> None:
    [row] = [line for line in section(page("training.md"), heading).splitlines() if line.startswith(f"| `{name}` |")]
    stated = row.split("|")[-2].strip().strip("`")
    words = str(value).lower() if isinstance(value, bool) else value
    assert stated == words if isinstance(words, str) else float(stated) == words


@pytest.mark.parametrize("task", tasks.all_tasks(), ids=lambda one: one.name)
def test_every_task_is_documented_with_its_datasets_and_metrics(task: Any) -> None:
    text = page("datasets.md")
    assert [name for name, _ in task.datasets() if f"### {name}\n" not in text] == []
    assert [one.name for one in task.metrics if f"`{one.name}`" not in section(text, task.name)] == []


@pytest.mark.parametrize("model", [JobSpec, Resources], ids=lambda one: one.__name__)
def test_every_key_of_a_spec_is_documented(model: Any) -> None:
    assert [name for name in model.model_fields if f"| `{name}` |" not in page("job-spec.md")] == []


@pytest.mark.parametrize("states", [JobState, TrialState, FailureKind], ids=lambda one: one.__name__)
def test_every_state_is_in_the_glossary(states: Any) -> None:
    assert [state for state in states if f"| {state} |" not in page("glossary.md")] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda one: one.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda one: one.name)
def test_modules_files_and_names_of_the_code_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    files = re.findall(r"`((?:api|benchmarks|migrations|searchsvc|tests|workers)/[\w./-]*)`", text)
    assert [file for file in files if not re.search("NAME|TASK|NNNN", file) and not (ROOT / file).exists()] == []
    names = {*re.findall(r"`((?:api|searchsvc|workers)(?:\.[A-Za-z]\w*)+)`", text), *_imported(text)}
    assert [name for name in sorted(names) if not _exists(name)] == []


def test_the_navigation_names_every_page_once() -> None:
    named = sorted(_leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert named == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def test_the_site_loads_nothing_from_elsewhere() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert config["theme"]["font"] is False
    assert not {"extra_css", "extra_javascript"} & config.keys()


def _leaves(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    else:
        for value in node.values() if isinstance(node, dict) else node:
            yield from _leaves(value)


def _imported(text: str) -> Iterator[str]:
    """Yield the dotted names that the Python blocks of a page import from the project."""
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in PACKAGES:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _exists(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (AttributeError, ImportError):
        return False
    return True
