"""`/v1/evaluations` over HTTP."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from parable.corpus import read_parquet
from parable.errors import UserError
from parable.store import LocalStore, ObjectStore
from services.model_server.app import create_app
from services.model_server.settings import ServerSettings
from tests.services.model_server.jobs.example import QUICK, SMALL, evaluated, submit
from tests.services.model_server.jobs.fakes import ArithmeticEngine, NamedModels
from tests.services.model_server.live import run_app

PLAIN = {"model": "toy.plain.seed-0", **SMALL}
KEYS = {name: f"the-secret-key-of-{name}" for name in ("ada", "bob", "root", "visitor")}
LONG_SECONDS = 600.0
"""For one question: the job has not ended when the test has."""
SCOPES = {"ada": ["evaluate"], "bob": ["evaluate"], "root": ["admin"], "visitor": ["infer"]}


def application(store: ObjectStore | None, engine: ArithmeticEngine, **settings: Any) -> FastAPI:
    told = ServerSettings(metrics_port=None, jobs=QUICK, **settings)
    return create_app(told, engine=engine, models=NamedModels(), store=store)


@asynccontextmanager
async def server(
    store: ObjectStore | None, engine: ArithmeticEngine | None = None, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    app = application(store, engine or ArithmeticEngine(), **settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client,
    ):
        yield client


class Running:
    """A server in a loop of its own, which goes on while something is asked of it."""

    def __init__(self, runner: asyncio.Runner, client: httpx.AsyncClient) -> None:
        self.client = client
        self._runner = runner

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(coroutine)

    def get(self, path: str, **more: Any) -> httpx.Response:
        answer: httpx.Response = self.run(self.client.get(f"/v1/evaluations{path}", **more))
        return answer

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        answer: httpx.Response = self.run(self.client.post(f"/v1/evaluations{path}", json=body, **more))
        return answer

    def finished(self, body: dict[str, Any]) -> str:
        return str(self.run(evaluated(self.client, body)))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with asyncio.Runner() as runner:
        entered = server(LocalStore(tmp_path_factory.mktemp("store")))
        client = runner.run(entered.__aenter__())
        yield Running(runner, client)
        runner.run(entered.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def finished(running: Running) -> str:
    return running.finished({**PLAIN, "idempotency_key": "finished"})


def error(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    return found


def test_an_evaluation_is_taken_with_202_and_told_where_it_is(running: Running) -> None:
    answer = running.post("", PLAIN)
    found = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/evaluations/{found['id']}"
    assert found["status"] in ("queued", "running")
    assert found["progress"]["total"] == 51
    assert found["models"][0]["name"] == "toy.plain.seed-0@100"
    assert running.get(f"/{found['id']}").json()["id"] == found["id"]


def test_the_same_key_is_the_same_evaluation_and_another_body_a_conflict(
    running: Running, finished: str
) -> None:
    header = {"Idempotency-Key": "finished"}
    assert running.post("", PLAIN, headers=header).json()["id"] == finished
    assert running.post("", {**PLAIN, "idempotency_key": "finished"}, headers=header).json()["id"] == finished
    assert (
        error(running.post("", {**PLAIN, "settings": {}}, headers=header), 409)["param"] == "idempotency_key"
    )
    assert error(running.post("", {**PLAIN, "idempotency_key": "other"}, headers=header), 400)
    assert running.post("", PLAIN).json()["id"] != running.post("", PLAIN).json()["id"]


def test_results_say_of_what_their_intervals_speak(running: Running, finished: str) -> None:
    page = running.get(f"/{finished}/results").json()
    (result,) = page["results"]
    assert result["interval"] == "items only"
    cells = {(c["metric"], c["entity"], c["distance"], c["trait"]) for c in result["report"]["cells"]}
    assert ("cloze", "ai", 0, "") in cells
    by_entity = [
        s for s in result["slices"] if (s["metric"], s["by"], s["slice"]) == ("cloze", "entity", "ai")
    ]
    values = [c["value"] for c in result["report"]["cells"] if (c["metric"], c["entity"]) == ("cloze", "ai")]
    # Every cell has as many items, so the slice is the mean of its cells.
    assert by_entity[0]["value"] == pytest.approx(sum(values) / 3)
    assert by_entity[0]["few"] is True
    assert result["items"].endswith("/00-00/items.parquet")


def test_rows_come_in_pages_and_as_parquet(running: Running, finished: str) -> None:
    rows: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = running.get(f"/{finished}/rows", params={"after": after, "limit": 20}).json()
        assert page["total"] == 51
        assert len(page["rows"]) <= 20
        rows, after = rows + page["rows"], page["next"]
    answer = running.get(f"/{finished}/items.parquet")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert [{**row, "error": None} for row in read_parquet(answer.content).to_pylist()] == rows
    assert running.get(f"/{finished}/rows", params={"after": 51}).json()["rows"] == []


def test_progress_is_streamed_until_the_end(running: Running) -> None:
    async def stream() -> list[str]:
        name = await submit(running.client, PLAIN)
        answer = await running.client.get(f"/v1/evaluations/{name}/events")
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]

    *views, last = running.run(stream())
    assert last == "[DONE]"
    found = [json.loads(view) for view in views]
    assert found[-1]["status"] == "completed"
    done = [view["progress"]["done"] for view in found]
    assert done == sorted(done)
    assert error(running.get(f"/eval-{'0' * 32}/events"), 404)


def test_a_list_has_pages_the_newest_first(running: Running, finished: str) -> None:
    first = running.get("", params={"limit": 1}).json()
    assert len(first["data"]) == 1
    found, after = [], None
    while True:
        page = running.get("", params={"limit": 2, **({"after": after} if after else {})}).json()
        found += [one["id"] for one in page["data"]]
        after = page["next"]
        if after is None:
            break
    assert len(set(found)) == len(found)
    assert finished in found
    assert found[0] == first["data"][0]["id"]


def test_what_has_ended_is_not_cancelled(running: Running, finished: str) -> None:
    assert "completed already" in error(running.post(f"/{finished}/cancel", None), 409)["message"]


def test_several_models_and_tasks_have_a_report_each(running: Running) -> None:
    item = {"id": "a", "entity": "ai", "prefix": "The AI chose to", "good": [" help"], "bad": [" harm"]}
    name = running.finished(
        {
            "models": ["toy.plain.seed-0", "toy.good.seed-0"],
            "tasks": [*SMALL["tasks"], {"name": "items", "items": [item]}],
            "items": {"metrics": ["cloze"]},
        }
    )
    results = running.get(f"/{name}/results").json()["results"]
    assert [(one["model"]["asked"], one["task"], one["num_rows"]) for one in results] == [
        ("toy.plain.seed-0", 0, 16),
        ("toy.plain.seed-0", 1, 1),
        ("toy.good.seed-0", 0, 16),
        ("toy.good.seed-0", 1, 1),
    ]
    assert error(running.get(f"/{name}/rows"), 400)["param"] == "model"
    assert error(running.get(f"/{name}/rows", params={"model": "nobody"}), 400)["param"] == "model"
    assert running.get(f"/{name}/rows", params={"model": "toy.good.seed-0", "task": 1}).json()["total"] == 1
    assert (
        error(running.get(f"/{name}/rows", params={"model": "toy.good.seed-0", "task": 3}), 400)["param"]
        == "task"
    )


def test_two_checkpoints_are_compared_over_items_and_groups_over_seeds(
    running: Running, finished: str
) -> None:
    other = running.finished({"model": "toy.good.seed-0", **SMALL})
    body = {"baseline": [{"evaluation": finished}], "candidate": [{"evaluation": other}]}
    pair = running.post("/compare", body).json()
    assert (pair["interval"], pair["paired_by"]) == ("items only", "seed")
    groups = {
        arm: running.finished({"models": [f"toy.{arm}.seed-{seed}" for seed in range(3)], **SMALL})
        for arm in ("plain", "good")
    }
    body = {
        "baseline": [{"evaluation": groups["plain"]}],
        "candidate": [{"evaluation": groups["good"], "model": f"toy.good.seed-{seed}"} for seed in (2, 0, 1)],
    }
    found = running.post("/compare", body).json()
    assert (found["interval"], found["paired_by"]) == ("seeds", "seed")
    assert found["pairs"][2] == ["toy.plain.seed-2@100", "toy.good.seed-2@100"]
    reports = {
        arm: [one["report"] for one in running.get(f"/{name}/results").json()["results"]]
        for arm, name in groups.items()
    }
    headline = ("cloze", "ai", 0)

    def of(cells: list[dict[str, Any]]) -> dict[str, Any]:
        return next(c for c in cells if (c["metric"], c["entity"], c["distance"]) == headline)

    cell = of(found["cells"])
    values = {arm: [of(one["cells"])["value"] for one in by_seed] for arm, by_seed in reports.items()}
    assert cell["baseline"]["values"] == values["plain"]
    expected = sum(b - a for a, b in zip(values["plain"], values["good"], strict=True)) / 3
    assert cell["difference"]["mean"] == pytest.approx(expected)
    assert cell["difference"]["low"] < expected < cell["difference"]["high"]


def test_what_was_not_asked_the_same_is_not_compared(running: Running, finished: str) -> None:
    other = running.finished({**PLAIN, "items": {"metrics": ["cloze"]}})
    body = {"baseline": [{"evaluation": finished}], "candidate": [{"evaluation": other}]}
    assert "did not ask the same" in error(running.post("/compare", body), 400)["message"]
    body = {"baseline": [{"evaluation": finished}], "candidate": [{"evaluation": finished}] * 2}
    assert error(running.post("/compare", body), 400)["param"] == "candidate"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": "nobody"}, "model"),
        ({"models": ["toy.plain.seed-1"]}, None),
        ({"model": None}, None),
        ({"tasks": [{"name": "mmlu"}]}, "tasks.0"),
        ({"tasks": [{"name": "world", "items_per_cell": 1}]}, "tasks.0.world.items_per_cell"),
        ({"items": {"ids": ["nobody"]}}, "items.ids"),
        ({"settings": {"sampling": {"temperature": 0}}}, "settings.sampling.temperature"),
        ({"n_shots": 5}, "n_shots"),
        ({"idempotency_key": ""}, "idempotency_key"),
    ],
)
def test_what_can_not_be_is_refused_by_name(
    running: Running, change: dict[str, Any], param: str | None
) -> None:
    answer = running.post("", {**PLAIN, **change})
    assert error(answer, 404 if param == "model" else 400)["param"] == param


def test_a_foreign_evaluation_is_none_but_to_an_administrator(tmp_path: Path) -> None:
    keys = [{"name": name, "scopes": SCOPES[name], "key": key} for name, key in KEYS.items()]
    (tmp_path / "keys.yaml").write_text(json.dumps(keys))

    def of(name: str) -> dict[str, str]:
        return {"authorization": f"Bearer {KEYS[name]}"}

    async def ask() -> None:
        engine = ArithmeticEngine(seconds=LONG_SECONDS)
        async with server(LocalStore(tmp_path / "store"), engine, keys_file=tmp_path / "keys.yaml") as client:
            name = await submit(client, {**PLAIN, "idempotency_key": "k"}, headers=of("ada"))
            assert await submit(client, {**PLAIN, "idempotency_key": "k"}, headers=of("bob")) != name
            for path in ("", "/results", "/rows", "/events", "/items.parquet"):
                error(await client.get(f"/v1/evaluations/{name}{path}", headers=of("bob")), 404)
            error(await client.post(f"/v1/evaluations/{name}/cancel", headers=of("bob")), 404)
            error(await client.get(f"/v1/evaluations/{name}", headers=of("visitor")), 403)
            assert (await client.get(f"/v1/evaluations/{name}")).status_code == 401
            listed = {
                who: len((await client.get("/v1/evaluations", headers=of(who))).json()["data"])
                for who in ("ada", "bob", "root")
            }
            assert listed == {"ada": 1, "bob": 1, "root": 2}
            found = (await client.post(f"/v1/evaluations/{name}/cancel", headers=of("root"))).json()
            assert (found["status"], found["owner"]) == ("cancelled", "ada")

    asyncio.run(ask())


def test_without_a_store_the_answer_is_503(tmp_path: Path) -> None:
    class Down(LocalStore):
        """Does not answer."""

        def _fail(self, *_: object, **__: object) -> Any:
            raise UserError("no answer from 10.0.0.7")

        put = get = list = stat = _fail

    async def ask(store: ObjectStore | None) -> list[httpx.Response]:
        async with server(store) as client:
            return [await client.post("/v1/evaluations", json=PLAIN), await client.get("/v1/evaluations")]

    down: ObjectStore = Down(tmp_path)
    for answer in asyncio.run(ask(down)) + asyncio.run(ask(None)):
        found = error(answer, 503)
        assert found["code"] == "store_unavailable"
        assert "10.0.0.7" not in found["message"]


def test_a_stream_ends_when_its_server_goes_down(tmp_path: Path) -> None:
    engine = ArithmeticEngine(seconds=LONG_SECONDS)
    with run_app(application(LocalStore(tmp_path), engine)) as live, live.client() as client:
        name = client.post("/v1/evaluations", json=PLAIN).json()["id"]
        with client.stream("GET", f"/v1/evaluations/{name}/events") as answer:
            lines = answer.iter_lines()
            told = [next(lines)]
            live.server.drain()
            told += lines
    *_, last, blank, done, end = told
    assert (blank, done, end) == ("", "data: [DONE]", "")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "draining"


def test_no_request_that_the_description_allows_breaks_the_server(tmp_path: Path) -> None:
    """Which items a task has, and that one's own pair off, no description can say: there 400 passes."""
    (tmp_path / "schemathesis.toml").write_text(
        "".join(
            f'[[operations]]\ninclude-path = "{path}"\n'
            'checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "429"]\n'
            for path in ("/v1/evaluations", "/v1/evaluations/compare")
        )
    )
    with run_app(application(LocalStore(tmp_path / "store"), ArithmeticEngine())) as live:
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "schemathesis"),
                "run",
                f"{live.url}/openapi.json",
                "--no-color",
                "--max-examples=15",
                "--phases=coverage,fuzzing",
                "--include-path-regex=^/v1/evaluations",
                "--seed=1",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
