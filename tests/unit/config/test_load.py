"""What a sound file becomes."""

import json
from dataclasses import asdict, fields

import msgspec
import pytest

from gateway.config.load import load
from gateway.config.schema import build_schema
from gateway.config.spec import (
    BreakerSpec,
    HealthSpec,
    HedgeSpec,
    KeepaliveSpec,
    Listen,
    MemberSpec,
    ModelSpec,
    PriceSpec,
    QueueSpec,
    RetrySpec,
    Spec,
)
from gateway.core.problem import ConfigError
from gateway.core.secret import Secret
from gateway.providers import provider_kinds
from tests.unit.config.conftest import Files, config

HASH = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    "written", ["on", "no", "null", "~", "2024-01-01", "1:30", "010", "1.10", "0x10", "1e3", ".inf", "true"]
)
def test_text_stays_the_text_it_is(written: str, files: Files) -> None:
    text = config(tenants=f"tenants: {{t: {{keys: ['{HASH}'], labels: {{plan: {written}}}}}}}")
    assert files.load(text).spec.tenants["t"].labels == {"plan": written}


@pytest.mark.parametrize("written", ["on", "no", "null", "2024-01-01", "1:30", "010", "1.10", "0x10", "1e3", "true"])
def test_names_stay_the_text_they_are(written: str, files: Files) -> None:
    text = config(
        pools=f"pools:\n  {written}: {{members: [m]}}",
        routes=f"routes: [{{name: {written}, match: [{written}], to: {written}}}]",
    )
    spec = files.load(text).spec
    assert list(spec.pools) == [written]
    assert (spec.routes[0].name, spec.routes[0].match, spec.routes[0].to) == (written, (written,), written)


def test_ids_stay_the_text_they_are(files: Files) -> None:
    text = config(models="models: {m: {provider: local, id: 1.10, price: {input: 0, output: 0}}}")
    assert files.load(text).spec.models["m"].id == "1.10"


@pytest.mark.parametrize(
    "condition",
    [
        "request.temperature <= 1",
        "request.tokens > 0.5",
        'headers["x-none"] == ""',
        "headers.team == 'a'",
        "labels.plan != ''",
        "request.tools > 0 ? request.stream : !request.stream",
    ],
)
def test_conditions_may_mix_numbers_and_name_what_is_missing(condition: str, files: Files) -> None:
    quoted = condition.replace("'", "''")
    text = config(routes=f"routes: [{{name: r, match: [auto], when: '{quoted}', to: m}}]")
    assert files.load(text).spec.routes[0].when == condition


def test_defaults_are_built_in_and_overridden_one_by_one(files: Files) -> None:
    spec = files.load(config(defaults="defaults: {timeout: {idle: none, total: 1h}, breaker: {failures: 2}}")).spec
    assert spec.defaults.timeout == {
        "connect": 2.0,
        "first_token": 20.0,
        "answer": 300.0,
        "idle": None,
        "total": 3600.0,
    }
    assert spec.defaults.given == {"breaker": {"failures": 2}}


def test_none_switches_policies_off(files: Files) -> None:
    text = config(
        defaults="defaults: {timeout: none, keepalive: none}",
        pools="pools: {p: {members: [m], timeout: {connect: 1s}, keepalive: {every: 5s, early: true}}}",
        models="models: {m: {provider: local, price: {input: 0, output: 0}, breaker: none}}",
    )
    spec = files.load(text).spec
    assert set(spec.defaults.timeout.values()) == {None}
    assert spec.defaults.given == {"keepalive": None}
    assert spec.pools["p"].policy.timeout == {"connect": 1.0}
    assert spec.pools["p"].policy.given == {"keepalive": {"every_s": 5.0, "early": True}}
    assert spec.models["m"].policy.given == {"breaker": None}


def test_what_a_level_says_is_read_under_the_names_of_its_spec(files: Files) -> None:
    text = config(
        defaults="defaults: {retry: {attempts: 2, when: [connect], retry_after_cap: 5s, budget: 10%, backoff: 50ms, backoff_cap: 1s},"
        " hedge: {quantile: 90%, share: 1%, after: 1s}, balance: p2c, max_inflight: 2k, queue: none, all_open: soonest}",
        models="models: {m: {provider: local, price: {input: 0, output: 0}, max_inflight: 4, retry: none},"
        " far: {provider: web, price: {input: 1, output: 2}}}",
        pools="pools: {p: {members: [m, {model: far, weight: 3, priority: 2, max_inflight: 8}], balance: consistent_hash,"
        " hash_by: 'header:X-Team', max_inflight: none, queue: {max: 1k, wait: 500ms, fair_by: key}, breaker: {slow_start: 0s}},"
        " q: {members: [far, m], sticky: conversation, hedge: none}}",
        routes="routes: [{name: r, match: [auto], to: p, hedge: {}, retry: {attempts: 9}}]",
    )
    spec = files.load(text).spec
    assert spec.defaults.given == {
        "retry": {
            "attempts": 2,
            "when": ["connect"],
            "retry_after_cap_s": 5.0,
            "budget": 0.1,
            "backoff_s": 0.05,
            "backoff_cap_s": 1.0,
        },
        "hedge": {"quantile": 0.9, "share": 0.01, "after_s": 1.0},
        "balance": "p2c",
        "max_inflight": 2000,
        "queue": None,
        "all_open": "soonest",
    }
    assert (spec.models["m"].max_inflight, spec.models["m"].policy.given) == (4, {"retry": None})
    assert spec.pools["p"].members == (MemberSpec("m"), MemberSpec("far", weight=3, priority=2, max_inflight=8))
    assert spec.pools["p"].policy.given == {
        "breaker": {"slow_start_s": 0.0},
        "balance": "consistent_hash",
        "hash_by": "header:x-team",
        "max_inflight": None,
        "queue": {"max": 1000, "wait_s": 0.5, "fair_by": "key"},
    }
    assert spec.pools["q"].policy.given == {"sticky": "conversation", "hedge": None}
    assert spec.routes[0].policy.given == {"hedge": {}, "retry": {"attempts": 9}}


def test_every_field_that_a_level_may_give_is_one_of_its_spec(files: Files) -> None:
    definitions = build_schema(provider_kinds())["$defs"]
    for setting, kind in (
        ("breaker", BreakerSpec),
        ("keepalive", KeepaliveSpec),
        ("retry", RetrySpec),
        ("hedge", HedgeSpec),
        ("queue", QueueSpec),
    ):
        wanted = {field.name.removesuffix("_s") for field in fields(kind)}
        assert set(definitions[setting]["properties"]) == wanted, setting


def test_the_defaults_that_the_schema_tells_are_those_of_the_specs(files: Files) -> None:
    """A file that writes every default out says what the specs hold anyway."""
    definitions = build_schema(provider_kinds())["$defs"]
    lines = []
    for setting in ("breaker", "keepalive", "retry", "hedge", "queue"):
        properties = definitions[setting]["properties"]
        lines.append(f"{setting}: {json.dumps({key: one['default'] for key, one in properties.items()})}")
    given = files.load(config(defaults=f"defaults: {{{', '.join(lines)}}}")).spec.defaults.given
    assert {
        key: {**value, "when": tuple(value["when"])} if key == "retry" else value for key, value in given.items()
    } == {
        "breaker": asdict(BreakerSpec()),
        "keepalive": asdict(KeepaliveSpec()),
        "retry": asdict(RetrySpec()),
        "hedge": asdict(HedgeSpec()),
        "queue": asdict(QueueSpec()),
    }
    health = {key: one["default"] for key, one in definitions["health"]["properties"].items() if "default" in one}
    providers = (
        f"providers: {{local: {{kind: openai, health: {json.dumps(health)}}}, web: {{kind: openai, health: {{}}}}}}"
    )
    spec = files.load(config(providers=providers)).spec
    assert [one.health for one in spec.providers.values()] == [HealthSpec(), HealthSpec()]


def test_a_provider_may_have_several_urls_and_keys(files: Files) -> None:
    providers = "providers: {local: {kind: llamacpp}, web: {kind: openai, urls: ['http://a/v1/', 'http://b/v1'],"
    providers += " keys: ['${SOME_KEY}', '${SECRET}'], max_inflight: 9, health: {path: /up, every: 1m, timeout: 2s, failures: 3}}}"
    web = files.load(config(providers=providers)).spec.providers["web"]
    assert (web.url, web.urls) == ("http://a/v1", ("http://a/v1", "http://b/v1"))
    assert (web.key, web.keys) == (Secret("a-key"), (Secret("a-key"), Secret("hush-hush-7")))
    assert (web.max_inflight, web.health) == (9, HealthSpec("/up", 60.0, 2.0, 3))


def test_one_url_and_one_key_are_lists_of_one(files: Files) -> None:
    providers = (
        "providers: {local: {kind: llamacpp}, web: {kind: openai, url: 'http://a', key: '${SOME_KEY}', health: none}}"
    )
    spec = files.load(config(providers=providers)).spec
    assert (spec.providers["web"].urls, spec.providers["web"].keys) == (("http://a",), (Secret("a-key"),))
    assert (spec.providers["local"].urls, spec.providers["local"].keys) == ((), ())
    assert spec.providers["web"].health is None


def test_tenants_have_a_priority_and_a_weight(files: Files) -> None:
    text = config(
        tenants=f"tenants: {{a: {{keys: ['{HASH}'], priority: high, weight: 3}}, b: {{keys: ['{HASH[:-1]}c']}}}}"
    )
    tenants = files.load(text).spec.tenants.values()
    assert [(one.priority, one.weight) for one in tenants] == [("high", 3), ("normal", 1)]


def test_server_settings_are_read_with_their_units(files: Files) -> None:
    text = config(
        server='server: {listen: ["unix:g.sock", "[::1]:80"], drain: {grace: 0s, deadline: 1m},'
        " limits: {body: 1MiB, head_timeout: 500ms, in_flight: 2k, loop_lag: none}, watch: true}",
        state="state: {store: memory, dir: kept}",
    )
    spec = files.load(text).spec
    directory = files.path.parent
    assert spec.server.listen == (Listen(path=str(directory / "g.sock")), Listen("::1", 80))
    assert (spec.server.drain.grace_s, spec.server.drain.deadline_s, spec.server.watch) == (0.0, 60.0, True)
    assert (spec.server.limits.body, spec.server.limits.head_timeout_s, spec.server.limits.in_flight) == (
        2**20,
        0.5,
        2000,
    )
    assert spec.server.limits.loop_lag_s is None
    assert spec.state_dir == str(directory / "kept")


def test_a_known_model_takes_what_it_does_not_say_from_the_builtin(files: Files) -> None:
    text = config(
        include="include: [builtin:prices]",
        models="models: {m: {provider: local, price: {input: 0, output: 0}}, gpt-4o: {provider: sim, quality: 0.5}}",
    )
    model = files.load(text).spec.models["gpt-4o"]
    assert model.price == PriceSpec(input=2_500_000, output=10_000_000, cached_input=1_250_000)
    assert (model.quality, model.latency_s, model.context) == (0.5, 0.8, 128_000)


def test_builtin_entries_without_a_provider_are_no_models(files: Files) -> None:
    assert set(files.load(config(include="include: [builtin:prices]")).spec.models) == {"m", "far"}


def test_an_own_price_replaces_the_builtin_one_as_a_whole(files: Files) -> None:
    text = config(
        include="include: builtin:prices",
        models="models: {m: {provider: local, price: {input: 0, output: 0}},"
        " gpt-4o: {provider: sim, price: {input: 1, output: 2}}}",
    )
    assert files.load(text).spec.models["gpt-4o"].price == PriceSpec(input=1_000_000, output=2_000_000)


def test_a_model_says_no_more_than_it_must(files: Files) -> None:
    assert files.load(config()).spec.models["m"] == ModelSpec("m", "local", "m", PriceSpec(0, 0), quality=0.5)


def test_settings_of_a_kind_come_with_their_units_read(files: Files) -> None:
    text = config(
        models="models: {m: {provider: sim, price: {input: 0, output: 0},"
        " simulate: {tokens: 20, first: 300ms, rate: 600/min, error_share: 10%}}}",
        providers="providers: {sim: {kind: simulator}, local: {kind: llamacpp, context: 4k, threads: 2}}",
    )
    spec = files.load(text).spec
    assert spec.models["m"].settings == {"simulate": {"tokens": 20, "first": 0.3, "rate": 10.0, "error_share": 0.1}}
    assert spec.providers["local"].settings == {"context": 4000, "threads": 2}


def test_a_provider_with_an_empty_key_is_off_with_one_warning(files: Files) -> None:
    loaded = files.load(config(pools="pools: {p: {members: [far, m]}, q: {members: [far, m]}}"))
    assert [(name, one.is_on, one.key) for name, one in loaded.spec.providers.items()] == [
        ("local", True, None),
        ("web", False, None),
        ("sim", True, None),
    ]
    off = [one.message for one in loaded.warnings if "is off" in one.message]
    assert off == ['provider "web" is off: its key is empty (${KEY})']


def test_a_provider_without_a_key_is_on_and_has_its_kinds_url(files: Files) -> None:
    providers = files.load(
        config(providers="providers: {local: {kind: openai}, web: {kind: openai, url: 'http://x/v1/'}}")
    ).spec.providers
    assert providers["local"].is_on
    assert providers["local"].url == "https://api.openai.com/v1"
    assert providers["web"].url == "http://x/v1"


def test_keys_come_from_the_environment_and_from_files(files: Files) -> None:
    files.write("admin.key", "from-a-file\n")
    text = config(
        server="server: {admin: {key: '${file:admin.key}'}}",
        providers="providers: {local: {kind: openai, headers: {x-a: 'b ${SOME_KEY} $${c}'}},"
        " web: {kind: openai, key: '${SOME_KEY}', auth: api-key}}",
    )
    loaded = files.load(text)
    assert loaded.spec.server.admin.key == Secret("from-a-file")
    assert loaded.spec.providers["web"].key == Secret("a-key")
    assert loaded.spec.providers["local"].headers == {"x-a": "b a-key ${c}"}
    assert loaded.warnings == ()
    assert loaded.files == (files.path, files.path.with_name("admin.key"))


def test_a_reference_may_give_any_scalar(files: Files) -> None:
    text = config(server="server: {watch: '${W:-true}', limits: {body: '${B:-2MiB}', in_flight: '${N}'}}")
    server = files.load(text, {"N": "50"}).spec.server
    assert (server.watch, server.limits.body, server.limits.in_flight) == (True, 2 * 2**20, 50)


def test_conditions_hold_no_references(files: Files) -> None:
    text = config(routes="routes: [{name: r, match: [auto], when: 'tenant == \"${SECRET}\"', to: m}]")
    assert files.load(text).spec.routes[0].when == 'tenant == "${SECRET}"'


@pytest.mark.parametrize(
    ("key", "is_told"),
    [("sk-abcdefghijklmnopqrstuv", True), ("Zk39fhQ0al2Lx84mVn6TbY1c", True), ("none", False), ("dummy-key", False)],
)
def test_a_literal_that_looks_like_a_key_is_a_warning_that_hides_it(key: str, is_told: bool, files: Files) -> None:
    warnings = files.load(
        config(server=f"server: {{admin: {{key: {key}}}}}", routes="routes: [{name: r, match: [auto], to: m}]")
    ).warnings
    told = [str(one) for one in warnings if "looks like a key" in one.message]
    assert bool(told) == is_told
    assert not any(key in one for one in told)


def test_nothing_prints_a_secret(files: Files) -> None:
    secret = "sk-live-0123456789abcdefghij"
    for where in (
        f"server: {{watch: {secret}}}",
        f"server: {{{secret}: 1}}",
        f"server: {{admin: {{key: [{secret}]}}}}",
        f"server: {{admin: {{key: '{secret} x'}}}}",
        f"tenants: {{a: {{keys: [{secret}, {secret}]}}}}",
        f"tenants: {{a: {{keys: {{{secret}: x}}}}}}",
        f"tenants: {{a: {{keys: {secret}}}}}",
        f"server: {{listen: {secret}: x}}",
        f"let: {{a: '\"{secret}\" == 3'}}",
        f'let:\n  a: "{secret}" == tenant',
        "server: {watch: '${S}', limits: {body: '${S}'}, listen: ['${S}']}",
        "server: {watch: '${MISSING:-" + secret + "}'}",
        "pools: {p: {members: ['${S}', '${S}']}}",
        "tenants: {a: {keys: ['${S}'], models: ['${S}']}}",
        "checks: [{name: '${S}', given: {model: '${S}', tenant: '${S}'}, expect: {route: '${S}', pool: '${S}'}}]",
        "defaults: {timeout: '${S}'}",
        "observe: {log: {level: '${S}'}}",
        "state: {store: '${S}'}",
    ):
        errors = files.errors(config(more=where), {"S": secret})
        assert errors, where
        assert secret not in "\n".join(errors), where


def test_a_spec_survives_its_way_to_a_worker(files: Files) -> None:
    files.write("tenants.yaml", f"tenants: {{t: {{keys: ['{HASH}'], labels: {{plan: paid}}}}}}\n")
    text = config(
        include="include: [tenants.yaml, builtin:prices]",
        server="server: {admin: {key: '${SOME_KEY}'}}",
        models="models: {m: {provider: sim, price: {input: 0.15, output: 0}, simulate: {rate: 5/s}, timeout: {idle: none}}}",
        defaults="defaults: {retry: {when: [connect, server_error]}, queue: none, hedge: {after: 1s}}",
        pools="pools: {p: {members: [{model: m, weight: 2}], balance: weighted, max_inflight: 3}}",
        checks="checks: [{name: c, given: {model: auto, temperature: 0.5}, expect: {route: r}}]",
    )
    spec = files.load(text).spec
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(spec), type=Spec) == spec


def test_the_digest_follows_every_file(files: Files) -> None:
    text = config(include="include: [more.yaml]", server="server: {admin: {key: '${file:admin.key}'}}")
    files.write("more.yaml", "let: {a: 'true'}\n")
    files.write("admin.key", "one")
    first = files.load(text).spec.digest
    assert files.load(text).spec.digest == first
    files.write("admin.key", "two")
    second = files.load(text).spec.digest
    files.write("more.yaml", "let: {a: 'false'}\n")
    assert len({first, second, files.load(text).spec.digest}) == 3


def test_crlf_and_a_byte_order_mark_change_nothing(files: Files) -> None:
    text = config(let="let:\n  a: 'request.tool'")
    plain = files.errors(text)
    assert files.errors(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) == plain
    assert plain == ['6:7: let.a: unknown variable "request.tool"; did you mean request.tools?']


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"a: \xff\n", "1:4: not UTF-8 text"),
        (b"a: b\nc: \x00\n", "2:4: the character U+0000 may not stand in YAML"),
        (b"a: \x1b[31m\n", "1:4: the character U+001B may not stand in YAML"),
        (b"#" * (2**20 + 1), "1:1: larger than 1MiB"),
    ],
)
def test_bytes_that_are_no_text_are_told_with_their_place(data: bytes, error: str, files: Files) -> None:
    assert files.errors(data) == [error]


def test_a_file_that_is_missing_or_none_is_told(files: Files) -> None:
    for path, said in (
        (files.path, "no such file; `gateway init` writes one to begin with"),
        (files.path.parent, "is a directory"),
    ):
        with pytest.raises(ConfigError) as error:
            load(path, env={}, kinds=provider_kinds())
        assert str(error.value) == f"{path}: {said}"


def test_load_reads_from_disk(files: Files) -> None:
    files.path.write_text(config())
    assert load(files.path, env={}, kinds=provider_kinds()).files == (files.path,)
