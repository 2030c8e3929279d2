"""To live is to answer; to be ready is to get on with it."""

from __future__ import annotations

from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import run_live


def test_readiness_falls_for_each_reason_and_life_goes_on() -> None:
    engine, models = BigramEngine({"a": table(0)}), FixedModels()
    with run_live(engine, models) as live, live.client() as client:

        def reason() -> str | None:
            response = client.get("/health/ready")
            assert client.get("/health/live").status_code == 200
            assert client.get("/v2/health/ready").status_code == response.status_code
            found: str | None = response.json()["reason"]
            assert response.status_code == (200 if found is None else 503)
            return found

        assert reason() is None
        engine.is_progressing = False
        assert reason() == "the engine has made no progress for 99 s"
        engine.is_ready = False
        assert reason() == "the engine is not up"
        engine.is_ready = engine.is_progressing = True
        models.is_ready = False
        assert reason() == "the default model is not loaded"
        models.is_ready = True
        assert reason() is None
        live.server.drain()
        assert reason() == "the server is going down"
        refused = client.post("/v1/completions", json={"model": "latest", "prompt": "The"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
        assert refused.headers["retry-after"]
