"""How vLLM is started, and what its last words mean."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from safetensors.numpy import save_file

from parable.errors import UserError
from services.model_server import ServerSettings
from services.model_server.build import build_app
from services.model_server.command import settings_for
from services.model_server.engine.base import (
    EngineError,
    EngineRestartedError,
    ModelFacts,
    ModelFolder,
    RequestRefusedError,
    ScoreRequest,
)
from services.model_server.engine.vllm.arguments import Facts, command_line, read_facts
from services.model_server.engine.vllm.engine import VllmEngine
from services.model_server.engine.vllm.options import VllmOptions
from services.model_server.engine.vllm.process import VllmProcess, cause_of, environment

FACTS = Facts(architecture="LlamaForCausalLM", vocabulary=320, length=128, num_parameters=1000)
# As vLLM 0.32.0 says it.
UNKNOWN = """\
(APIServer pid=1) INFO 11-24 10:18:39 [api_utils.py:286] non-default args: {'dtype': 'float32'}
(APIServer pid=1) WARNING 11-24 10:18:39 [system_utils.py:255] Found ulimit of 20000 and failed to increase \
with error current limit. This can cause errors like `OSError: [Errno 24] Too many open files`
Traceback (most recent call last):
  File "vllm/config/model.py", line 121, in __init__
pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig
  Value error, Model architectures ['Foo'] are not supported for now.
    For further information visit the documentation
"""
NO_MEMORY = """\
(VllmWorker-0 pid=2) ERROR 11-24 10:38:12 [multiproc_executor.py:953] ValueError: Available memory on node 0 \
(18.9/23.54 GiB) on startup is less than desired
(EngineCore pid=3) ERROR 11-24 10:38:14 [core.py:1510] Exception: WorkerProc initialization failed.
RuntimeError: Engine core initialization failed. See root cause above.
"""
# As vLLM 0.11.2 says it, in colours.
COLOURED = """\
\x1b[1;36m(EngineCore_DP0 pid=3)\x1b[0;0m     raise AttributeError(
\x1b[1;36m(EngineCore_DP0 pid=3)\x1b[0;0m AttributeError: no attribute 'init_cpu_threads_env'
\x1b[1;36m(APIServer pid=1)\x1b[0;0m RuntimeError: Engine core initialization failed. See root cause above.
"""


def test_the_command_line(tmp_path: Path) -> None:
    options = VllmOptions(command=("/opt/vllm/bin/vllm", "serve"), arguments=("--max-num-seqs", "8"))
    model = ModelFolder(key="digest", folder=tmp_path)
    command = command_line(model, FACTS, socket=Path("/run/0"), options=options, dtype="bfloat16")
    assert command[:3] == ["/opt/vllm/bin/vllm", "serve", str(tmp_path)]
    assert command[-3:] == ["--skip-tokenizer-init", "--max-num-seqs", "8"]
    assert dict(zip(command[3:-3:2], command[4:-3:2], strict=True)) == {
        "--served-model-name": "digest",
        "--uds": "/run/0",
        "--dtype": "bfloat16",
        "--load-format": "safetensors",
        "--generation-config": "vllm",
        "--logprobs-mode": "raw_logprobs",
        "--max-logprobs": "320",
        "--gpu-memory-utilization": "0.45",
        "--scheduling-policy": "priority",
        "--uvicorn-log-level": "warning",
        "--max-model-len": "129",
    }


def _save(folder: Path, **changes: object) -> ModelFolder:
    """The files of a model, by which alone it is judged before vLLM starts."""
    config = {"architectures": ["GPT2LMHeadModel"], "vocab_size": 320, "n_positions": 128}
    (folder / "config.json").write_text(json.dumps(config | changes))
    for number, shape in enumerate([(2, 3), (4,)]):
        save_file({"weight": np.zeros(shape, np.float32)}, folder / f"model-{number}.safetensors")
    return ModelFolder(key="k", folder=folder)


def test_a_model_by_its_files(tmp_path: Path) -> None:
    facts = read_facts(_save(tmp_path).folder)
    assert facts == Facts(architecture="GPT2LMHeadModel", vocabulary=320, length=128, num_parameters=10)
    assert facts.served("k", max_model_len=101, dtype="bfloat16", share_bytes=0) == ModelFacts(
        key="k",
        architecture="GPT2LMHeadModel",
        num_parameters=10,
        num_bytes=20,
        vocabulary=320,
        max_length=100,
    )
    assert facts.served("k", max_model_len=101, dtype="float32", share_bytes=0).num_bytes == 40
    assert facts.served("k", max_model_len=101, dtype="float32", share_bytes=10**9).num_bytes == 10**9


@pytest.mark.parametrize("change", [{"vocab_size": None}, {"architectures": []}])
def test_files_that_are_no_model_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(RequestRefusedError, match="holds no model"):
        read_facts(_save(tmp_path, **change).folder)


def test_vllm_gets_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"AWS_SECRET_ACCESS_KEY", "PARABLE_S3_ENDPOINT", "VLLM_API_KEY", "HF_TOKEN", "DB_PASSWORD"}
    for name in (*secrets, "CUDA_VISIBLE_DEVICES", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, "given")
    found = environment()
    assert not secrets & set(found)
    assert found["CUDA_VISIBLE_DEVICES"] == found["HF_HUB_OFFLINE"] == "given"
    assert found["VLLM_ALLOW_LONG_MAX_MODEL_LEN"] == found["VLLM_NO_USAGE_STATS"] == "1"


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (UNKNOWN, "Model architectures ['Foo'] are not supported for now."),
        (NO_MEMORY, "Available memory on node 0 (18.9/23.54 GiB) on startup is less than desired"),
        ("one\ntwo\n\n", "two"),
        ("", "it said nothing"),
    ],
)
def test_the_first_error_is_the_cause(said: str, cause: str) -> None:
    assert cause_of(said.split("\n")) == cause


@pytest.mark.parametrize(
    ("said", "end", "kind", "message"),
    [
        (
            UNKNOWN,
            "exit 1",
            RequestRefusedError,
            r"status 1: Model architectures \['Foo'\] are not supported",
        ),
        (COLOURED, "exit 1", RequestRefusedError, "status 1: no attribute 'init_cpu_threads_env'"),
        (NO_MEMORY, "exit 1", EngineError, "found no memory for it: Available memory"),
        ("", "kill -9 $$", EngineRestartedError, "ended by signal 9 while it came up"),
    ],
)
def test_what_an_early_end_means(said: str, end: str, kind: type[EngineError], message: str) -> None:
    async def failure() -> EngineError:
        command = ("sh", "-c", 'printf %s "$1"; ' + end, "sh", said)
        process = await VllmProcess.start(command, num_threads=None)
        await process.ended
        return process.failure()

    error = asyncio.run(failure())
    assert type(error) is kind
    with pytest.raises(kind, match=message):
        raise error


def test_a_model_that_vllm_ends_over_is_not_loaded_and_not_tried_again(tmp_path: Path) -> None:
    model = _save(tmp_path)
    times = tmp_path / "times"
    program = f'open({str(times)!r}, "a").write("x"); raise SystemExit("ValueError: no such model")'

    async def scenario() -> None:
        engine = VllmEngine(VllmOptions(command=(sys.executable, "-c", program)))
        await engine.start()
        try:
            with pytest.raises(RequestRefusedError, match="status 1: no such model"):
                await engine.load(model)
            with pytest.raises(EngineRestartedError, match="k is not loaded; send it again"):
                await engine.score(ScoreRequest(model="k", sequences=((1, 2),), starts=(1,)))
            assert engine.health.ready
            assert engine.health.restarts == 0
        finally:
            await engine.stop()

    asyncio.run(scenario())
    assert times.read_text() == "x"


def test_a_vllm_that_does_not_come_up_is_given_up(tmp_path: Path) -> None:
    model = _save(tmp_path)

    async def scenario() -> None:
        options = VllmOptions(
            command=(sys.executable, "-c", "import time; time.sleep(600)"), load_seconds=0.5
        )
        engine = VllmEngine(options)
        await engine.start()
        try:
            with pytest.raises(EngineError, match="did not come up with it in time"):
                await engine.load(model)
        finally:
            await engine.stop()

    asyncio.run(scenario())


def test_what_is_about_to_end_is_waited_for(tmp_path: Path) -> None:
    model = _save(tmp_path)
    told = tmp_path / "told"
    deaf = (
        "import pathlib, signal, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: pathlib.Path({str(told)!r}).touch())\n"
        "while True: time.sleep(600)"
    )

    async def scenario() -> None:
        engine = VllmEngine(VllmOptions(command=(sys.executable, "-c", deaf), load_seconds=3.0))
        await engine.start()
        loading = asyncio.create_task(engine.load(model))
        async with asyncio.timeout(60):
            while not told.exists():
                await asyncio.sleep(0.01)
        await engine.stop()
        left = psutil.Process().children(recursive=True)
        assert [process for process in left if any(str(told) in part for part in process.cmdline())] == []
        with pytest.raises(EngineRestartedError, match="the engine was stopped"):
            await loading
        with pytest.raises(EngineRestartedError, match="the engine was stopped"):
            await engine.load(model)

    asyncio.run(scenario())


def test_the_engine_is_named_on_the_command_line() -> None:
    place: dict[str, Any] = {"model": None, "port": 8000, "host": "127.0.0.1", "keys": None}
    assert settings_for("store", **place).engine == "torch"
    assert settings_for("store", engine="vllm", **place).engine == "vllm"
    with pytest.raises(UserError, match="--engine is 'tgi'; torch and vllm are possible"):
        settings_for("store", engine="tgi", **place)  # type: ignore[arg-type]


def test_a_server_without_vllm_says_how_to_get_it(tmp_path: Path) -> None:
    options = VllmOptions(command=("no-such-vllm", "serve"))
    with pytest.raises(UserError, match=r"no program 'no-such-vllm'\. Install vLLM.*vllm\.command"):
        build_app(ServerSettings(store=str(tmp_path), engine="vllm", vllm=options))
