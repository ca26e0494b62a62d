"""No secret reaches a record, and no setting of a run is taken for one."""

from __future__ import annotations

import json

import pytest

import runs
from planning import planned
from spark_rl import documents, redact, registry
from spark_rl.model import Host, Request
from spark_rl.records import Attempt

SECRET = "q7Zr9sT2vX4y"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"WANDB_API_KEY={SECRET}", "WANDB_API_KEY=***"),
        (f"--wandb-api-key={SECRET}", "--wandb-api-key=***"),
        (f"agent.logger.api_key={SECRET}", "agent.logger.api_key=***"),
        (f"+agent.apiKey={SECRET}", "+agent.apiKey=***"),
        (f"++env.hf_token='{SECRET} and more'", "++env.hf_token=***"),
        (f"agent.login={{user:ada,password:{SECRET}}}", "agent.login={user:ada,password:***}"),
        (f'agent.login={{"client_secret": "{SECRET}", "id": 3}}', 'agent.login={"client_secret": ***, "id": 3}'),
        (f"sh -c 'export GITHUB_TOKEN={SECRET}; run'", "sh -c 'export GITHUB_TOKEN=***; run'"),
        (f"https://ada:{SECRET}@host.org/x", "https://***@host.org/x"),
        (f"https://ada:p@{SECRET}@host.org/x", "https://***@host.org/x"),
        (f"https://{SECRET}@github.com/a/b", "https://***@github.com/a/b"),
        (f"postgresql://ada:{SECRET}@db:5432/optuna", "postgresql://***@db:5432/optuna"),
        (f"omniverse://host/x?auth={SECRET}&a=1", "omniverse://host/x?auth=***&a=1"),
        (f"Authorization: Bearer {SECRET}", "Authorization: *** ***"),
        (f"header=bearer {SECRET}", "header=bearer ***"),
        ("hf_" + "a1B2" * 9, "***"),
        ("logged in with ghp_" + "a1B2" * 9 + ".", "logged in with ***."),
        ("nvapi-" + "a1B2" * 9, "***"),
        ("sk-proj-" + "a1B2" * 9, "***"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJ", "***"),
    ],
)
def test_a_secret_is_hidden(text: str, shown: str) -> None:
    assert redact.word(text) == shown
    assert redact.word(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "--task=Isaac-Ant-v0",
        "agent.policy.num_tokens=16",
        "env.observations.tokens=64",
        "agent.use_secret_sauce=true",
        "agent.tokenizer=word",
        "env.keyboard=qwerty",
        "agent.passthrough=1",
        "env.author=ada",
        "PWD=/home/ada",
        "key=value",
        "https://github.com/isaac-sim/IsaacLab",
        "git@github.com:isaac-sim/IsaacLab",
        "omniverse://localhost/NVIDIA/Assets",
        "cuda:0",
        "physics=newton_mjwarp",
        "api_key=",
        "3ceab1ca383f16aa4a8626a1fd12500cd4e01049",
        "it took 12:30:01, memory: 3 GiB",
        "agent.params.config.lr_schedule=adaptive",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact.word(text) == text


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["--wandb-api-key", SECRET, "--seed", "1"], ["--wandb-api-key", "***", "--seed", "1"]),
        (["--password", SECRET], ["--password", "***"]),
        (["--api-key", "--headless"], ["--api-key", "--headless"]),
        (["--num_tokens", "16"], ["--num_tokens", "16"]),
        (["--token"], ["--token"]),
    ],
)
def test_an_option_hides_the_word_after_it(argv: list[str], shown: list[str]) -> None:
    assert list(redact.words(argv)) == shown


def test_a_secret_is_hidden_wherever_else_it_stands() -> None:
    document = {"argv": ["--api-key", SECRET], "message": f"login with {SECRET} failed", "n": 3, "none": None}
    assert redact.document(document) == {
        "argv": ["--api-key", "***"],
        "message": "login with *** failed",
        "n": 3,
        "none": None,
    }


def test_short_secrets_leave_no_holes_in_paths() -> None:
    document = {"argv": ["--password", "ada"], "cwd": "/home/ada"}
    assert redact.document(document) == {"argv": ["--password", "***"], "cwd": "/home/ada"}


def test_a_path_that_a_telling_name_holds_leaves_no_holes_either() -> None:
    document = {"env": {"PASSWORD_STORE_DIR": "/home/ada"}, "cwd": "/home/ada/IsaacLab"}
    assert redact.document(document, ["/home/ada"]) == {
        "env": {"PASSWORD_STORE_DIR": "***"},
        "cwd": "/home/ada/IsaacLab",
    }


@pytest.mark.parametrize(
    "document",
    [
        {"env": {"WANDB_API_KEY": SECRET}},
        {"env": [["WANDB_API_KEY", SECRET], ["A", "b"]]},
        {"env": (("WANDB_API_KEY", SECRET),)},
        {"credentials": {"user": "ada", "values": [SECRET, {"deep": SECRET}]}},
        [[f"agent.secret={SECRET}"]],
        {"login": {"token": SECRET}, "other": f"x{SECRET}y"},
    ],
)
def test_whole_documents_are_searched(document: object) -> None:
    assert SECRET in json.dumps(document)
    assert SECRET not in json.dumps(redact.document(document))


def test_no_secret_reaches_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    inherited = "inherited-Secret-1"
    monkeypatch.setenv("SOME_SERVICE_PASSWORD", inherited)
    overrides = (f"agent.wandb_api_key={SECRET}", "agent.seed=7")
    passthrough = ("--wandb-api-key", SECRET, f"--remote=https://ada:{SECRET}@host/x")
    decided = planned("2.3.2", "Isaac-Ant-Direct-v0", overrides=overrides, passthrough=passthrough)
    assert SECRET in json.dumps(documents.plan(decided)), "what runs is not touched"
    request = Request(
        action="train", task="Isaac-Ant-Direct-v0", cwd="/w", overrides=overrides, passthrough=passthrough
    )
    machine = Host(
        machine="x86_64",
        os="Linux",
        cpu_count=8,
        memory_total_mib=1,
        memory_available_mib=1,
        environ=(("HF_TOKEN", SECRET),),
    )
    start = documents.start(request, decided, machine, spark_rl="1", git={"remote": f"https://{SECRET}@host/x"})
    run = registry.create(start, runs.run(argv=decided.argv, message=f"key {SECRET} and {inherited} refused"))
    attempt = Attempt(argv=decided.argv, started_at=1.0, message=f"token={SECRET}")
    assert registry.save(runs.run(id=run.id, argv=decided.argv, attempts=(attempt,), hint=f"not {inherited}")) is None
    for file in registry.folder().rglob("*"):
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        assert SECRET not in text
        assert inherited not in text
    assert "agent.seed=7" in registry.load(run.id).argv
    assert "agent.wandb_api_key=***" in registry.load(run.id).argv
