"""Machines: folders of any name, proxies, a second service, what lies in the working directory, missing resources."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy.engine import URL, make_url

import searchsvc
from api.cli import addresses, output
from api.cli.commands import run, serving
from api.cli.remote import RemoteTransport
from api.cli.transport import ConnectionLost, Request
from api.ui.session import Links
from searchsvc.controller.controller import Controller
from searchsvc.domain import Job, JobSpec, JobState, Node
from searchsvc.errors import Conflict, InvalidInput
from searchsvc.service.planning import machine
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store, schema
from searchsvc.store.database import Database, sqlite_file
from tests.support.driving import a_spec
from tests.support.tasks import install
from tests.unit.api.cli.conftest import Searchctl
from workers import cluster
from workers.driver import connection

REPOSITORY = Path(__file__).parents[2]
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


# ---- U17: data folders -----------------------------------------------------------------------------------------------

FOLDERS = {
    "U17 percent": "100%41",
    "U17 question mark": "a?b",
    "what the question mark cut off": "a",
    "what the percent sign stood for": "100A",
    "number sign": "a#b",
    "blanks": " a  b ",
    "quotes": 'it\'s "a"',
    "plus and ampersand": "a+b&c=d;e",
    "at and colon": "me:secret@host",
    "backslash": "a\\b",
    "brackets": "[a]{b}(c)*",
    "a percent sign alone": "100%",
    "an ini reference": "%(here)s",
    "a variable": "$HOME",
    "a query": "db?mode=memory&cache=shared",
    "composed": "caf\u00e9",
    "decomposed": "cafe\u0301",
    "not latin": "数据-📁",
    "memory": ":memory:",
    "uri": "file:x",
    "two dots": "..a",
    "long": "x" * 200,
}


@pytest.mark.parametrize("name", FOLDERS.values(), ids=FOLDERS)
def test_the_database_lies_in_its_data_folder(tmp_path: Path, name: str) -> None:
    settings = Settings(data_dir=tmp_path / name).prepare()
    file = settings.data_dir / "searchsvc.db"
    assert settings.database_url == URL.create("sqlite", database=str(file)).render_as_string()
    assert make_url(settings.database_url).database == str(file)
    database = Database(settings.database_url, wait_seconds=1, connections=1)
    database.read(schema.version)
    database.close()
    assert sqlite_file(settings.database_url) == file
    assert file.is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_no_two_folders_share_a_database(tmp_path: Path) -> None:
    urls = {Settings(data_dir=tmp_path / name).database_url for name in FOLDERS.values()}
    assert len(urls) == len(FOLDERS)


SPELLINGS = {
    "a slash at the end": ("{here}/data/", "{here}/data"),
    "relative": ("data", "{here}/data"),
    "relative with dots": ("x/../data", "{here}/data"),
    "home": ("~/data", "{here}/data"),
    "two slashes": ("{here}//data", "{here}/data"),
    "a file called like a home": ("./~nobody-knows", "{here}/~nobody-knows"),
}


@pytest.mark.parametrize(("given", "folder"), SPELLINGS.values(), ids=SPELLINGS)
def test_a_folder_may_be_spelled_in_many_ways(
    tmp_path: Path, given: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SEARCHSVC_DATA_DIR", given.format(here=tmp_path))
    assert str(Settings().data_dir) == folder.format(here=tmp_path)


REFUSED_FOLDERS = {
    "line break": ("a\nb", "line breaks"),
    "carriage return": ("a\rb", "line breaks"),
    "tab": ("a\tb", "line breaks"),
    "bytes that are not UTF-8": (os.fsdecode(b"caf\xe9"), "UTF-8"),
    "an unknown user": ("~nobody-knows/data", "unknown user"),
}


@pytest.mark.parametrize(("given", "words"), REFUSED_FOLDERS.values(), ids=REFUSED_FOLDERS)
def test_a_folder_that_cannot_be_used_is_refused_with_the_reason(given: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Settings(data_dir=given)  # type: ignore[arg-type]  # as an option of the command line
    assert refused.value.faults[0].pointer == "/data_dir"
    assert words in refused.value.faults[0].message


def test_a_folder_too_deep_for_sqlite_is_refused_with_the_reason(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path.joinpath(*["x" * 100] * 5))
    with pytest.raises(InvalidInput, match="longer than 490 bytes"):
        Database(settings.database_url, wait_seconds=1)


@pytest.mark.parametrize("kind", ["a file", "below a file"])
def test_a_folder_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot be created"):
        Settings(data_dir=tmp_path / "file" / ("below" if kind == "below a file" else "")).prepare()


@pytest.mark.parametrize("name", ["100%41", "%(here)s", "a?b#c", "a b"])
def test_migrations_are_found_in_a_checkout_of_any_name(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "migrations").symlink_to(REPOSITORY / "migrations")
    monkeypatch.setattr(searchsvc, "__file__", str(tmp_path / name / "searchsvc" / "__init__.py"))
    Store.create(f"sqlite:///{tmp_path}/store.db").close()


# ---- U16: proxies ----------------------------------------------------------------------------------------------------


class Fine(BaseHTTPRequestHandler):
    """Answers every request."""

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Fine) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def fetched(address: str) -> int:
    answer = RemoteTransport(address).send(Request("GET", "/"))
    answer.close()
    return answer.status


@pytest.mark.parametrize("variable", [*PROXY_VARIABLES[:3], *map(str.upper, PROXY_VARIABLES[:3])])
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense://x"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1"])
def test_a_service_on_this_machine_is_reached_whatever_the_proxy(
    server: int, variable: str, proxy: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy)
    assert fetched(f"http://{host}:{server}") == 204


UNUSABLE = {
    "socks without its package": ("socks5h://me:secret@proxy:1080", "pip install PySocks"),
    "an unknown scheme": ("ftp://me:secret@proxy:21", "write http://HOST:PORT or https://HOST:PORT or socks"),
}


@pytest.mark.parametrize(("proxy", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    proxy: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConnectionLost) as lost:
        fetched("http://192.0.2.1:8700")
    assert words in str(lost.value)
    assert "secret" not in str(lost.value)


@pytest.mark.parametrize(
    ("proxy", "kind", "resolves"),
    [("socks5://p", 2, False), ("socks5h://u:w@p:1081", 2, True), ("socks4a://p", 1, True)],
)
def test_a_socks_proxy_is_used_by_its_package(
    server: int, proxy: str, kind: int, resolves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def create_connection(target: tuple[str, int], **how: Any) -> socket.socket:
        asked.append((target, how["proxy_type"], how["proxy_rdns"]))
        return socket.create_connection(("127.0.0.1", server))

    package = SimpleNamespace(create_connection=create_connection, SOCKS4=1, SOCKS5=2)
    monkeypatch.setitem(sys.modules, "socks", package)
    monkeypatch.setenv("ALL_PROXY", proxy)
    assert fetched("http://192.0.2.1:8700") == 204
    assert asked == [(("192.0.2.1", 8700), kind, resolves)]


@pytest.mark.parametrize(
    "address", ["unix:///run/searchsvc.sock", "http+unix://%2Frun", "/run/searchsvc.sock", "tcp://h:1"]
)
def test_an_address_of_another_kind_is_refused_with_the_form_that_works(address: str) -> None:
    with pytest.raises(ConnectionLost, match=r"cannot be used: write http://HOST:PORT"):
        fetched(address)


def test_drivers_and_ray_reach_this_machine_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("grpc_proxy", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "example.org")
    environment = Settings(data_dir=tmp_path, ray_address="ray://head.example:10001").environment()
    assert environment["no_proxy"] == environment["NO_PROXY"] == "example.org,localhost,127.0.0.1,::1,head.example"


# ---- U20: what lies in the working directory ------------------------------------------------------------------------

HOSTILE = ("workers/__init__", "searchsvc/__init__", "random", "torch", "ray", "sitecustomize", "json", "psutil")


@pytest.mark.slow
@pytest.mark.usefixtures("no_proxy")
def test_a_search_runs_on_a_hostile_machine(tmp_path: Path) -> None:
    """U16, U17, U20: a dead proxy, a data folder of many characters, and a working directory full of namesakes."""
    here, data, mark = tmp_path / "here", tmp_path / "100%41 a?b#c'é", tmp_path / "mark"
    for name in HOSTILE:
        file = here / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"open({str(mark)!r}, 'a').write({name!r})\nraise SystemExit('imported')\n")
    metadata = here / "searchsvc.egg-info"
    metadata.mkdir()
    (metadata / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: searchsvc\nVersion: 0.0.1\n")
    (metadata / "entry_points.txt").write_text("[searchsvc.tasks]\nscripted = workers:nothing\n")
    (here / "spec.yaml").write_text(json.dumps(a_spec(trials=1, epochs=1)))
    settings = Settings(data_dir=data, ray_address=None)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SEARCHSVC_", "RAY_"))}
    environment |= dict.fromkeys(("http_proxy", "HTTPS_PROXY", "grpc_proxy"), "http://127.0.0.1:9")
    environment |= {"SEARCHSVC_DATA_DIR": str(data), "PYTHONPATH": install(tmp_path / "packages")}
    searchctl_here = [sys.executable, "-P", "-c", "from api.cli.main import main; main()"]
    try:
        ended = subprocess.run(
            [*searchctl_here, "run", "spec.yaml", "--json"],
            cwd=here,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["job"]["state"] == "SUCCEEDED"
        assert not mark.exists(), mark.read_text()
        assert (data / "searchsvc.db").is_file()
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([data.name, "here", "packages"])
    finally:
        cluster.stop(settings)


# ---- U19: two services, U31: two controllers -------------------------------------------------------------------------


@pytest.fixture
def service(store: Store, home: Path) -> Service:
    return Service(store, Settings(data_dir=home, ray_address=None))


def test_a_second_service_of_a_folder_is_refused_with_the_address_of_the_first(service: Service) -> None:
    settings = service.settings
    with addresses.service_lock(settings) as is_alone, addresses.listener(settings_at(settings)) as bound:
        assert is_alone
        with addresses.announced_address(settings, bound):
            address = addresses.address_of(settings, bound)
            with addresses.service_lock(settings) as is_second_alone:
                assert not is_second_alone
                with pytest.raises(Conflict) as refused:
                    serving._listener(settings, is_second_alone)
            assert address in str(refused.value)
            assert f"process {os.getpid()} on {socket.gethostname()}" in str(refused.value)
            assert "--data-dir" in str(refused.value)
            assert addresses.address_path(settings).read_text() == f"{address}\n"
    assert not addresses.address_path(settings).exists()
    with addresses.service_lock(settings) as is_alone:
        assert is_alone


def settings_at(settings: Settings) -> Settings:
    return Settings(data_dir=settings.data_dir, port=0)


def test_several_services_on_postgresql_may_share_a_folder(service: Service) -> None:
    shared = Settings(data_dir=service.settings.data_dir, port=0, database_url="postgresql://db/x")
    serving._listener(shared, is_alone=False).close()


def test_the_lock_of_a_killed_service_is_free(service: Service) -> None:
    code = (
        "import sys; from api.cli.addresses import service_lock; from searchsvc.settings import Settings\n"
        "with service_lock(Settings()) as is_alone:\n    print(is_alone, flush=True)\n    sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        with addresses.service_lock(service.settings) as is_alone:
            assert not is_alone
        process.kill()
    with addresses.service_lock(service.settings) as is_alone:
        assert is_alone


@pytest.fixture
def job(service: Service) -> Job:
    return service.store.create_job(service.jobs.plan(_DIGITS).spec)[0]


_DIGITS = {
    "name": "tiny",
    "task": "classification",
    "dataset": {"name": "digits"},
    "space": {"name": "mbconv-small"},
    "objectives": [{"metric": "accuracy"}],
    "algorithm": {"name": "random"},
    "budget": {"trials": 1},
}


def _controller(service: Service) -> Controller:
    idle = [sys.executable, "-c", "import time; time.sleep(60)"]
    return Controller(service, command=lambda _: idle, standby_command=None, stop_cluster=None)


def test_a_run_claims_its_job_for_itself(service: Service, job: Job) -> None:
    controller = _controller(service)
    try:
        assert run._other_controller(controller, job) is None
        assert service.store.leases()[0].holder == controller.holder
    finally:
        controller._end()


def test_a_run_says_that_it_runs_its_job_although_a_service_does_too(
    service: Service, job: Job, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses.address_path(service.settings).write_text(f"http://127.0.0.1:{server}\n")
    controller = _controller(service)
    try:
        notice = run._other_controller(controller, job)
    finally:
        controller._end()
    assert notice is not None
    assert notice.endswith(f"(http://127.0.0.1:{server}); this command runs it.")


def test_a_run_says_that_another_controller_was_faster(service: Service, job: Job) -> None:
    service.store.claim_job(job.id, "node-7:4711:abcd", 60.0)
    notice = run._other_controller(_controller(service), job)
    assert notice is not None
    assert "process 4711 on node-7" in notice
    assert service.store.job(job.id).state is JobState.RUNNING


# ---- U23: versions ---------------------------------------------------------------------------------------------------

MISMATCHES = {
    "another Ray": ("2.9.3", "3.11.7"),
    "another Python": ("2.60.0", "3.9.18"),
    "a development version": ("3.0.0.dev0", "3.12.0rc1"),
}


@pytest.mark.parametrize(("ray", "python"), MISMATCHES.values(), ids=MISMATCHES)
def test_other_versions_on_the_cluster_are_told_in_a_sentence(ray: str, python: str) -> None:
    message = (
        f"Version mismatch: The cluster was started with:\n    Ray: {ray}\n    Python: {python}\n"
        "This process on node 10.0.0.1 was started with:\n    Ray: 1.2.3\n    Python: 4.5.6\n"
    )
    told = connection._mismatch("head:6379", message)
    assert told.startswith(f"the cluster at head:6379 runs Ray {ray} with Python {python}, this driver Ray ")
    assert told.endswith("install the same versions on both")
    assert "\n" not in told


# ---- U30: resources that no machine has ------------------------------------------------------------------------------

SHORTAGES = {
    "U30 a GPU": (["resources.gpu=4"], "/resources/gpu: a trial needs 4 GPUs, this machine has 0"),
    "a part of a GPU": (["resources.gpu=0.5"], "/resources/gpu: a trial needs 0.5 GPUs, this machine has 0"),
    "CPUs": (["resources.cpu=5000"], "/resources/cpu: a trial needs 5000 CPUs, this machine has"),
    "memory": (["resources.memory_bytes=1000000000000000"], "/resources/memory_bytes: a trial needs 931322.6 GiB"),
}


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: 0)
    monkeypatch.setattr(machine, "has_other_gpus", lambda: False)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--json"]])
@pytest.mark.parametrize(("changes", "words"), SHORTAGES.values(), ids=SHORTAGES)
def test_a_run_that_can_never_start_a_trial_is_refused(
    searchctl: Searchctl,
    spec: str,
    changes: list[str],
    words: str,
    more: list[str],
) -> None:
    answer = searchctl("run", spec, *more, *(word for change in changes for word in ("--set", change)))
    assert answer.code == 2
    assert words in answer.err + answer.out
    assert searchctl("list", "--json").document == []


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(("changes", "words"), SHORTAGES.values(), ids=SHORTAGES)
def test_a_job_that_waits_for_resources_says_so_when_it_is_submitted(
    searchctl: Searchctl,
    spec: str,
    changes: list[str],
    words: str,
) -> None:
    sets = [word for change in changes for word in ("--set", change)]
    told = searchctl("submit", spec, *sets)
    assert told.code == 0
    assert words.partition(": ")[2] in told.err
    assert words.partition(": ")[2] in searchctl("submit", spec, *sets, "--json").document["warnings"][0]


@pytest.mark.parametrize(
    ("nodes", "address", "warnings"),
    [
        ([], None, ["a trial needs 1 GPUs, this machine has 0"]),
        ([], "head:6379", []),
        ([0.0, 0.0], "head:6379", ["a trial needs 1 GPUs, the largest node of the cluster has 0"]),
        ([0.0, 4.0], "head:6379", []),
    ],
)
@pytest.mark.usefixtures("no_gpu")
def test_what_no_node_has_is_known_while_drivers_report_nodes(
    service: Service, job: Job, nodes: list[float], address: str | None, warnings: list[str]
) -> None:
    claimed = service.store.claim_job(job.id, "me", 60.0)
    assert claimed is not None
    reported = [Node(f"n{i}", f"10.0.0.{i}", 8.0, gpus, 2.0**34, avoided=False) for i, gpus in enumerate(nodes)]
    service.store.report_nodes(claimed[1], reported)
    spec = JobSpec.parse({**_DIGITS, "resources": {"gpu": 1}})
    served = Service(service.store, Settings(data_dir=service.settings.data_dir, ray_address=address))
    assert list(served.jobs.shortages(replace(job, spec=spec))) == warnings


@pytest.mark.usefixtures("no_gpu")
def test_a_cluster_may_get_what_a_run_needs(searchctl: Searchctl, spec: str) -> None:
    answer = searchctl("run", spec, "--set", "resources.gpu=1", "--ray-address", "head:6379", "--dry-run")
    assert answer.code == 0


def test_the_list_says_what_jobs_wait_for(searchctl: Searchctl, service: Service, job: Job) -> None:
    assert "why" not in searchctl("list").out
    claimed = service.store.claim_job(job.id, "me", 60.0)
    assert claimed is not None
    service.store.report_wait(claimed[1], "needs 1 GPU; the cluster has no GPU")
    for command in (["list"], ["show", job.id]):
        assert "needs 1 GPU; the cluster has no GPU" in searchctl(*command).out


# ---- U35: what is printed for pasting --------------------------------------------------------------------------------


def test_a_sign_in_link_fits_into_a_line_of_80_columns(service: Service) -> None:
    link = f"http://127.0.0.1:65535{Links().make('secret', '/ui/jobs/01a22f6c-82bb-7be2')}"
    assert len(link) <= 80
    *_, last = serving._sign_in_lines(service, "http://127.0.0.1:65535", Links().make)
    assert last.startswith("http://127.0.0.1:65535")


@pytest.mark.parametrize("printed", [output.say, output.hint])
def test_ids_and_paths_in_lines_are_not_broken(
    printed: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def narrow(*, stderr: bool = False) -> Console:
        return Console(stderr=stderr, highlight=False, width=80, force_terminal=False)

    monkeypatch.setattr(output, "console", narrow)
    line = f"Submitted {'long-name-' * 6}: {'0123456789' * 10} in /{'folder/' * 20}file"
    printed(line)
    captured = capsys.readouterr()
    assert line in captured.out + captured.err
