"""The metrics of the service, and the dashboard and alert rules that use them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from searchsvc.domain import Job
from searchsvc.errors import StoreUnavailable
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.store.database import TryAgain
from tests.integration.api.conftest import Connect

DOCS = Path(__file__).parents[3] / "docs"
ALERTS, DASHBOARD = DOCS / "monitoring" / "alerts.yaml", DOCS / "monitoring" / "dashboard.json"
NAME = re.compile(r"\bsearchsvc_[a-z_]+")


@pytest.fixture
def text(connect: Connect, job: Job) -> str:
    """The answer of /metrics, with a job that waits."""
    client = connect(Scope.READ)
    client.get(f"/api/v1/jobs/{job.id}")
    return client.get("/metrics").text


@pytest.fixture
def promtool() -> str:
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    return path


def samples(text: str) -> set[str]:
    return {match[0] for line in text.splitlines() if not line.startswith("#") and (match := NAME.match(line))}


def test_vital_signs_are_metrics(text: str) -> None:
    assert 'searchsvc_jobs{state="QUEUED"} 1.0' in text
    assert 'searchsvc_waiting{reason="waits for a controller: first in line"} 1.0' in text
    assert "searchsvc_leases 0.0" in text
    assert "searchsvc_database_up 1.0" in text
    assert re.search(r'searchsvc_disk_free_bytes\{folder="artifacts"\} [1-9]', text)
    assert re.search(r"searchsvc_database_bytes [1-9]", text)
    assert re.search(r'searchsvc_database_seconds_count\{kind="read"\} [1-9]', text)


def test_every_metric_is_documented(text: str) -> None:
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    documented = set(NAME.findall(page)) | {"searchsvc_controller_turns", "searchsvc_controller_errors"}
    families = {match[1] for match in re.finditer(r"^# TYPE (\S+) ", text, re.MULTILINE)}
    assert families
    assert {name for name in families if name not in documented and not name.endswith("_created")} == set()


@pytest.mark.parametrize("page", [ALERTS, DASHBOARD], ids=lambda path: path.name)
def test_rules_and_panels_use_metrics_that_exist(text: str, page: Path) -> None:
    used = set(NAME.findall(page.read_text(encoding="utf-8")))
    of_labels = {"searchsvc_database_failures_total"}  # appears with its first failure
    assert used - samples(text) <= of_labels


def test_every_panel_has_a_title_and_an_expression() -> None:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert len(board["panels"]) > 0
    for panel in board["panels"]:
        assert panel["title"]
        assert panel["description"]
        assert all(target["expr"] for target in panel["targets"])


def test_promtool_accepts_the_alert_rules(promtool: str) -> None:
    subprocess.run([promtool, "check", "rules", "--lint-fatal", str(ALERTS)], check=True, capture_output=True)


def test_promtool_accepts_the_expressions_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    subprocess.run([promtool, "check", "rules", str(path)], check=True, capture_output=True)


def test_promtool_can_read_the_metrics(promtool: str, text: str) -> None:
    """Exit code 3 is a remark on a name, such as a unit at another place; 1 is a text that it cannot read."""
    checked = subprocess.run([promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert checked.returncode in (0, 3), checked.stderr


def test_transactions_are_counted_and_those_without_an_answer_too(
    text: str, service: Service, connect: Connect
) -> None:
    with pytest.raises(StoreUnavailable):
        service.store._database.read(_fails, wait_seconds=0.0)
    after = connect(Scope.READ).get("/metrics").text
    assert "searchsvc_database_failures_total{" not in text
    assert 'searchsvc_database_failures_total{kind="read"} 1.0' in after


def _fails(connection: object) -> None:
    raise TryAgain("the database is busy")
