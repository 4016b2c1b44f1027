"""Every trap of YAML, of units, references and conditions: what the file says, and exactly what is answered."""

from time import monotonic
from typing import Any, get_args

import pytest

from gateway.config.messages import one_of
from gateway.core.faults import RetryWord
from tests.unit.config.conftest import Files, config

ALIAS_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)
)

WORDS = one_of(get_args(RetryWord))


def case(title: str, errors: list[str], text: str | None = None, **sections: str) -> Any:
    return pytest.param(config(**sections) if text is None else text, errors, id=title)


TRAPS = [
    # YAML
    case("empty file", ["1:1: the file is empty; `gateway init` writes one to begin with"], text=""),
    case("only comments", ["1:1: the file is empty; `gateway init` writes one to begin with"], text="# nothing\n"),
    case("a list at the top", ['1:1: the file must be a mapping ("key: value" lines)'], text="- a\n"),
    case("plain text at the top", ['1:1: the file must be a mapping ("key: value" lines)'], text="hello\n"),
    case(
        "two documents", ["5:1: a second document begins here; one file holds one"], text=config() + "---\nversion: 1\n"
    ),
    case("duplicate key at the top", ['5:1: "version" stands twice; first at 1:1'], more="version: 1"),
    case(
        "duplicate key inside",
        ['5:23: "watch" stands twice; first at 5:10'],
        server="server: {watch: true, watch: false}",
    ),
    case(
        "tag",
        ["5:17: tags (words that begin with !) are not taken; quote the value if it is text"],
        server="server: {watch: !!bool true}",
    ),
    case(
        "python tag",
        ["5:9: tags (words that begin with !) are not taken; quote the value if it is text"],
        server="server: !!python/object/apply:os.system [ls]",
    ),
    case(
        "own tag",
        ["5:17: tags (words that begin with !) are not taken; quote the value if it is text"],
        server="server: {watch: !secret x}",
    ),
    case(
        "merge key",
        ['6:3: merge keys ("<<") are not taken; write the settings out, or alias a whole value'],
        server="server:\n  <<: {watch: true}",
    ),
    case("alias without anchor", ['5:9: no anchor "nothing" stands before this alias'], server="server: *nothing"),
    case("alias of itself", ['5:21: the alias "a" stands inside its own anchor'], server="server: &a {limits: *a}"),
    case(
        "too many aliases", ["6:405: more than 100 aliases"], server="x: &a [1]\ny: [" + ", ".join(["*a"] * 101) + "]"
    ),
    case("alias bomb", ["9:35: more than 50000 values, aliases expanded"], server=ALIAS_BOMB),
    case("too deep", ["5:41: nested deeper than 32 levels"], server="server: " + "[" * 40),
    case("tab indents", ["6:1: a tab can't indent; use spaces"], server="server:\n\twatch: true"),
    case(
        "unclosed bracket",
        ['6:1: a "," or "}" was expected here; quote text that holds special characters (in what begins at line 5)'],
        server="server: {watch: true",
    ),
    case(
        "unclosed quote",
        ["6:1: the file ends inside a quoted text (in what begins at line 5)"],
        server="server: {listen: 'x",
    ),
    case("complex key", ["5:3: a key must be plain text"], server="? [a, b]\n: 1"),
    case("empty key", ["5:10: a value was expected here"], server="server: {: 1}"),
    case(
        "colon in plain text",
        ['6:12: a ": " is out of place here; quote the text that holds it, or mend the indentation'],
        server="server:\n  listen: a: b",
    ),
    case(
        "bad escape",
        ["5:19: unknown escape after \\ in double quotes; use single quotes, or write \\\\"],
        server='server: {listen: "\\q"}',
    ),
    case(
        "unindented list",
        ['7:14: a list in lines ("- ") must begin on a line of its own'],
        pools="pools:\n  a:\n    members: - m",
    ),
    case("reserved sign", ["5:18: this character can't begin a value; quote the text"], server="server: {listen: @x}"),
    case(
        "unquoted reference in braces", ["5:19: a ${…} inside braces must be quoted"], server="server: {listen: ${X}}"
    ),
    # types
    case(
        "yes for a boolean",
        ['5:17: server.watch: must be true or false, without quotes (got "yes")'],
        server="server: {watch: yes}",
    ),
    case(
        "on for a boolean",
        ['5:17: server.watch: must be true or false, without quotes (got "on")'],
        server="server: {watch: on}",
    ),
    case(
        "True for a boolean",
        ['5:17: server.watch: must be true or false, without quotes (got "True")'],
        server="server: {watch: True}",
    ),
    case(
        "quoted boolean",
        ['5:17: server.watch: must be true or false, without quotes (got "true")'],
        server='server: {watch: "true"}',
    ),
    case(
        "null for a boolean",
        ['5:17: server.watch: must be true or false, without quotes (got "null")'],
        server="server: {watch: null}",
    ),
    case(
        "nothing for a boolean",
        ["6:9: server.watch: has no value; it must be true or false, without quotes, or remove the line"],
        server="server:\n  watch:",
    ),
    case(
        "nothing for a section",
        ['5:9: tenants: has no value; it must be a mapping ("key: value" lines), or remove the line'],
        tenants="tenants:",
    ),
    case(
        "null for a section", ['5:10: tenants: must be a mapping ("key: value" lines) (got "~")'], tenants="tenants: ~"
    ),
    case("a list for a section", ['5:1: server: must be a mapping ("key: value" lines)'], server="server: [a]"),
    case(
        "1:30 for a number",
        ['5:32: defaults.breaker.failures: must be a whole number, without quotes (got "1:30")'],
        defaults="defaults: {breaker: {failures: 1:30}}",
    ),
    case(
        "010 for a number",
        ['5:32: defaults.breaker.failures: must be a whole number, without quotes (got "010")'],
        defaults="defaults: {breaker: {failures: 010}}",
    ),
    case(
        "0x10 for a number",
        ['5:32: defaults.breaker.failures: must be a whole number, without quotes (got "0x10")'],
        defaults="defaults: {breaker: {failures: 0x10}}",
    ),
    case(
        "1e3 for a number",
        ['5:32: defaults.breaker.failures: must be a whole number, without quotes (got "1e3")'],
        defaults="defaults: {breaker: {failures: 1e3}}",
    ),
    case(
        "1_000 for a number",
        ['5:32: defaults.breaker.failures: must be a whole number, without quotes (got "1_000")'],
        defaults="defaults: {breaker: {failures: 1_000}}",
    ),
    case(
        "a fraction for a whole number",
        ['5:32: defaults.breaker.failures: must be a whole number, without quotes (got "1.10")'],
        defaults="defaults: {breaker: {failures: 1.10}}",
    ),
    case(
        "a date for a number",
        ['5:32: defaults.breaker.failures: must be a whole number, without quotes (got "2024-01-01")'],
        defaults="defaults: {breaker: {failures: 2024-01-01}}",
    ),
    case(
        "no for a number",
        ['5:32: defaults.breaker.failures: must be a whole number, without quotes (got "no")'],
        defaults="defaults: {breaker: {failures: no}}",
    ),
    case(
        "too small a number",
        ['5:32: defaults.breaker.failures: must be at least 1 (got "0")'],
        defaults="defaults: {breaker: {failures: 0}}",
    ),
    case(
        "infinity for a number",
        ['3:70: models.m.quality: must be a plain decimal number, without quotes (got ".inf")'],
        models="models: {m: {provider: local, price: {input: 0, output: 0}, quality: .inf}}",
    ),
    case(
        "quality over 1",
        ['3:70: models.m.quality: must be at most 1 (got "95")'],
        models="models: {m: {provider: local, price: {input: 0, output: 0}, quality: 95}}",
    ),
    case("wrong version", ['1:10: version: must be 1 (got "2")'], version="version: 2"),
    case(
        "version as a fraction",
        ['1:10: version: must be a whole number, without quotes (got "1.10")'],
        version="version: 1.10",
    ),
    # units
    case(
        "duration without unit",
        ['5:31: defaults.timeout.connect: needs a unit, such as 30s or 30ms; none switches it off (got "2")'],
        defaults="defaults: {timeout: {connect: 2}}",
    ),
    case(
        "duration in words",
        [
            '5:31: defaults.timeout.connect: must be a duration such as 500ms, 30s, 5m or 1h; none switches it off (got "2 seconds")'
        ],
        defaults="defaults: {timeout: {connect: 2 seconds}}",
    ),
    case(
        "duration as 1:30",
        [
            '5:31: defaults.timeout.connect: must be a duration such as 500ms, 30s, 5m or 1h; none switches it off (got "1:30")'
        ],
        defaults="defaults: {timeout: {connect: 1:30}}",
    ),
    case(
        "duration of 0",
        ['5:31: defaults.timeout.connect: must be at least 1ms; none switches it off (got "0s")'],
        defaults="defaults: {timeout: {connect: 0s}}",
    ),
    case(
        "negative duration",
        [
            '5:31: defaults.timeout.connect: must be a duration such as 500ms, 30s, 5m or 1h; none switches it off (got "-1s")'
        ],
        defaults="defaults: {timeout: {connect: -1s}}",
    ),
    case(
        "endless duration",
        ['5:29: defaults.timeout.total: must be at most 7d; none switches it off (got "999999999h")'],
        defaults="defaults: {timeout: {total: 999999999h}}",
    ),
    case(
        "null for a clock",
        [
            '5:28: defaults.timeout.idle: must be a duration such as 500ms, 30s, 5m or 1h; none switches it off (got "null")'
        ],
        defaults="defaults: {timeout: {idle: null}}",
    ),
    case(
        "off for a clock",
        [
            '5:28: defaults.timeout.idle: must be a duration such as 500ms, 30s, 5m or 1h; none switches it off (got "off")'
        ],
        defaults="defaults: {timeout: {idle: off}}",
    ),
    case(
        "off for a policy",
        [
            '5:21: defaults.breaker: must be a mapping (failures, recovery, successes, slow_start), or "none" (got "off")'
        ],
        defaults="defaults: {breaker: off}",
    ),
    case(
        "unknown clock",
        ['5:22: defaults.timeout.first-token: unknown key; did you mean "first_token"?'],
        defaults="defaults: {timeout: {first-token: 3s}}",
    ),
    case(
        "size without unit",
        ['5:25: server.limits.body: needs a unit, such as 32MiB or 512KiB (got "1048576")'],
        server="server: {limits: {body: 1048576}}",
    ),
    case(
        "size in a wrong unit",
        ['5:25: server.limits.body: must be a size such as 512KiB, 32MiB or 1GiB (got "32Mb")'],
        server="server: {limits: {body: 32Mb}}",
    ),
    case(
        "count with a wrong unit",
        ['3:70: models.m.context: must be a count such as 500, 128k or 2M (got "128K")'],
        models="models: {m: {provider: local, price: {input: 0, output: 0}, context: 128K}}",
    ),
    case(
        "count of part of one",
        ['3:70: models.m.context: must come to a whole number (got "1.2345k")'],
        models="models: {m: {provider: local, price: {input: 0, output: 0}, context: 1.2345k}}",
    ),
    case(
        "share as a fraction",
        ['3:83: models.m.simulate.error_share: needs a unit, such as 20% (got "0.1")'],
        models="models: {m: {provider: sim, price: {input: 0, output: 0}, simulate: {error_share: 0.1}}}",
    ),
    case(
        "share over 100 %",
        ['3:83: models.m.simulate.error_share: must be at most 100% (got "120%")'],
        models="models: {m: {provider: sim, price: {input: 0, output: 0}, simulate: {error_share: 120%}}}",
    ),
    case(
        "rate without window",
        ['3:76: models.m.simulate.rate: must be a rate such as 50/s, 600/min or 100/60s (got "50")'],
        models="models: {m: {provider: sim, price: {input: 0, output: 0}, simulate: {rate: 50}}}",
    ),
    case(
        "price below 0",
        ['3:46: models.m.price.input: must not be below 0 (got "-1")'],
        models="models: {m: {provider: local, price: {input: -1, output: 0}}}",
    ),
    case(
        "price with a currency",
        [
            '3:46: models.m.price.input: must be US dollars per million tokens as a plain number, such as 2.50 (got "$1")'
        ],
        models="models: {m: {provider: local, price: {input: $1, output: 0}}}",
    ),
    case(
        "price too fine",
        ['3:46: models.m.price.input: must have at most 6 decimals (got "0.0000001")'],
        models="models: {m: {provider: local, price: {input: 0.0000001, output: 0}}}",
    ),
    case(
        "price of one class only",
        ["3:31: models.m.price.output: is missing (per million tokens of the answer)"],
        models="models: {m: {provider: local, price: {input: 1}}}",
    ),
    # keys and kinds
    case("unknown section", ['5:1: modles: unknown key; did you mean "models"?'], modles="modles: {}"),
    case(
        "unknown section like none",
        [
            "5:1: zzz: unknown key; known here: version, include, server, state, providers, models, pools, defaults, let, routes, tenants, observe, checks"
        ],
        zzz="zzz: {}",
    ),
    case("unknown key", ['5:10: server.lisen: unknown key; did you mean "listen"?'], server="server: {lisen: x}"),
    case(
        "unknown kind",
        [
            '2:27: providers.local.kind: must be anthropic, llamacpp, openai or simulator (got "llamacp"); did you mean "llamacpp"?'
        ],
        providers="providers: {local: {kind: llamacp}, web: {kind: openai}}",
    ),
    case(
        "kind is missing",
        ["2:13: providers.local.kind: is missing; give anthropic, llamacpp, openai or simulator"],
        providers="providers: {local: {}, web: {kind: openai}}",
    ),
    case(
        "setting of another kind",
        ["2:58: providers.web.weights: belongs to the kind llamacpp; this provider is of the kind openai"],
        providers="providers: {local: {kind: llamacpp}, web: {kind: openai, weights: x}}",
    ),
    case(
        "a child with a URL",
        ["2:37: providers.local.url: the kind llamacpp is served by the gateway itself and takes no url"],
        providers="providers: {local: {kind: llamacpp, url: http://x}, web: {kind: openai}}",
    ),
    case(
        "model setting of another kind",
        ['3:61: models.m.simulate: belongs to models of the kind simulator; provider "local" is of the kind llamacpp'],
        models="models: {m: {provider: local, price: {input: 0, output: 0}, simulate: {tokens: 3}}}",
    ),
    case(
        "unknown setting of a kind",
        ['3:70: models.m.simulate.token: unknown key; did you mean "tokens"?'],
        models="models: {m: {provider: sim, price: {input: 0, output: 0}, simulate: {token: 3}}}",
    ),
    case(
        "URL without scheme",
        [
            '2:40: providers.local.url: must be an http:// or https:// URL, such as https://api.openai.com/v1 (got "localhost:8000")'
        ],
        providers="providers: {local: {kind: openai, url: localhost:8000}, web: {kind: openai}}",
    ),
    case(
        "URL with credentials",
        ["2:40: providers.local.url: must not hold a user name or password; give the key as `key`"],
        providers="providers: {local: {kind: openai, url: 'http://me:hidden@x/v1'}, web: {kind: openai}}",
    ),
    case(
        "URL with a fragment",
        ['2:40: providers.local.url: must end with the path or a query: no fragment (got "http://x/v1#")'],
        providers="providers: {local: {kind: openai, url: 'http://x/v1#'}, web: {kind: openai}}",
    ),
    case(
        "URL with a key in its query",
        ["2:40: providers.local.url: must not hold a key in its query; give it as `key`"],
        providers="providers: {local: {kind: openai, url: 'http://x/v1?api-key=hidden'}, web: {kind: openai}}",
    ),
    case(
        "URL that holds the model twice",
        ['2:40: providers.local.url: may hold {model} once, and only in its path (got "http://x/{model}/{model}")'],
        providers="providers: {local: {kind: openai, url: 'http://x/{model}/{model}'}, web: {kind: openai}}",
    ),
    case(
        "header with a bad name",
        ['2:45: providers.local.headers["a b"]: must be the name of a header, such as x-team'],
        providers="providers: {local: {kind: openai, headers: {'a b': c}}, web: {kind: openai}}",
    ),
    case(
        "header with a line break",
        ["2:48: providers.local.headers.a: must not hold the character U+000D"],
        providers='providers: {local: {kind: openai, headers: {a: "b\\r\\nc: d"}}, web: {kind: openai}}',
    ),
    case(
        "bad name",
        ['5:9: pools["a b"]: must be a name of letters, digits and . _ : / @ + -, such as gpt-4o or strong'],
        pools="pools: {'a b': {members: [m]}}",
    ),
    case(
        "sections missing",
        [
            "1:1: models: is missing (models by the name that clients use)",
            "1:1: providers: is missing (upstream APIs and their keys, by name)",
            "1:1: routes: is missing (in order; the first whose `match` and `when` hold takes the request)",
        ],
        text="version: 1\n",
    ),
    case("no routes", ["4:1: routes: must not be empty; give at least one"], routes="routes: []"),
    case(
        "enum",
        ['5:24: observe.log.level: must be debug, info, warning or error (got "warn"); did you mean "warning"?'],
        observe="observe: {log: {level: warn}}",
    ),
    # references
    case(
        "unknown provider",
        ['3:24: models.m.provider: there is no provider "locl"; did you mean "local"?'],
        models="models: {m: {provider: locl, price: {input: 0, output: 0}}}",
    ),
    case(
        "unpriced model",
        [
            "3:10: models.m: has no price; give price: {input: …, output: …} in US dollars per million tokens, 0 if it costs nothing"
        ],
        models="models: {m: {provider: local}}",
    ),
    case(
        "unpriced model of builtin:prices",
        [
            "3:62: models.gpt-4o: has no price; give price: {input: …, output: …} in US dollars per million tokens, 0 if it costs nothing; builtin:prices knows it: include that"
        ],
        models="models: {m: {provider: local, price: {input: 0, output: 0}}, gpt-4o: {provider: web}}",
    ),
    case(
        "unknown member",
        ['5:23: pools.p.members[0]: there is no model "n"; known here: far, m'],
        pools="pools: {p: {members: [n]}}",
    ),
    case(
        "pool as member",
        ['5:42: pools.q.members[0]: "p" is a pool; members are models, and pools follow in `then`'],
        pools="pools: {p: {members: [m]}, q: {members: [p]}}",
    ),
    case(
        "member twice",
        ['5:26: pools.p.members[1]: "m" is members[0] already; give it once'],
        pools="pools: {p: {members: [m, m]}}",
    ),
    case(
        "member twice, once with more about it",
        ['5:34: pools.p.members[1].model: "m" is members[0] already; give it once'],
        pools="pools: {p: {members: [m, {model: m, weight: 2}]}}",
    ),
    case(
        "member without a model",
        ["5:23: pools.p.members[0].model: is missing (the model)"],
        pools="pools: {p: {members: [{weight: 2}]}}",
    ),
    case(
        "member that is a list",
        [
            "5:23: pools.p.members[0]: must be the name of a model, or a mapping with one, such as gpt-4o or {'model': 'gpt-4o', 'weight': 3}"
        ],
        pools="pools: {p: {members: [[m]]}}",
    ),
    case(
        "unknown member with more about it",
        ['5:31: pools.p.members[0].model: there is no model "mm"; did you mean "m"?'],
        pools="pools: {p: {members: [{model: mm, weight: 2}]}}",
    ),
    case(
        "weight of nothing",
        ['5:42: pools.p.members[0].weight: must be at least 1 (got "0")'],
        pools="pools: {p: {members: [{model: m, weight: 0}]}}",
    ),
    case(
        "weight in percent",
        ['5:42: pools.p.members[0].weight: must be a whole number, without quotes (got "20%")'],
        pools="pools: {p: {members: [{model: m, weight: 20%}]}}",
    ),
    case(
        "weight at a model",
        ["3:61: models.m.weight: a weight belongs to a member of a pool: members: [{model: …, weight: …}]"],
        models="models: {m: {provider: local, price: {input: 0, output: 0}, weight: 2}}",
    ),
    case(
        "weights at a pool",
        ["5:27: pools.p.weights: a weight belongs to a member of a pool: members: [{model: …, weight: …}]"],
        pools="pools: {p: {members: [m], weights: [2]}}",
    ),
    case(
        "unknown balance",
        [
            "5:36: pools.p.balance: must be in_order, round_robin, weighted, least_inflight, p2c, ewma, cheapest or consistent_hash"
            ' (got "round-robin"); did you mean "round_robin"?'
        ],
        pools="pools: {p: {members: [m], balance: round-robin}}",
    ),
    case(
        "hash by nothing known",
        [
            '5:36: pools.p.hash_by: must be conversation, tenant or header:NAME, such as header:x-session (got "session")'
        ],
        pools="pools: {p: {members: [m], hash_by: session, balance: consistent_hash}}",
    ),
    case(
        "sticky by tenant",
        ['5:35: pools.p.sticky: must be conversation (got "tenant")'],
        pools="pools: {p: {members: [m], sticky: tenant}}",
    ),
    case(
        "sticky for everything",
        [
            "5:12: defaults.sticky: unknown key; known here: timeout, breaker, keepalive, retry, drop_params, batch, hedge, balance, max_inflight, queue, all_open"
        ],
        defaults="defaults: {sticky: conversation}",
    ),
    case(
        "max_inflight of nothing",
        ['5:41: pools.p.max_inflight: must be at least 1; none sets no limit (got "0")'],
        pools="pools: {p: {members: [m], max_inflight: 0}}",
    ),
    case(
        "queue for nobody",
        ['5:57: pools.p.queue.max: must be at least 1 (got "0")'],
        pools="pools: {p: {members: [m], max_inflight: 1, queue: {max: 0}}}",
    ),
    case(
        "queue without a mapping",
        ['5:51: pools.p.queue: must be a mapping (max, wait, fair_by), or "none" (got "50")'],
        pools="pools: {p: {members: [m], max_inflight: 1, queue: 50}}",
    ),
    case(
        "queue with a wait without a unit",
        ['5:58: pools.p.queue.wait: needs a unit, such as 30s or 30ms (got "2")'],
        pools="pools: {p: {members: [m], max_inflight: 1, queue: {wait: 2}}}",
    ),
    case(
        "queue fair by somebody else",
        ['5:61: pools.p.queue.fair_by: must be tenant, key or none (got "tenants"); did you mean "tenant"?'],
        pools="pools: {p: {members: [m], max_inflight: 1, queue: {fair_by: tenants}}}",
    ),
    case(
        "every breaker open",
        ['5:37: pools.p.all_open: must be reject or soonest (got "sonest"); did you mean "soonest"?'],
        pools="pools: {p: {members: [m], all_open: sonest}}",
    ),
    case(
        "hedge without percent",
        ['5:50: pools.p.hedge.quantile: needs a unit, such as 20% (got "0.95")'],
        pools="pools: {p: {members: [m, far], hedge: {quantile: 0.95}}}",
    ),
    case(
        "breaker at a route",
        ["4:42: routes[0].breaker: a breaker belongs to an endpoint; give it at the provider, the model or the pool"],
        routes="routes: [{name: r, match: [auto], to: m, breaker: none}]",
    ),
    case(
        "retry after an unknown fault",
        [
            f'5:27: defaults.retry.when[0]: must be {WORDS} (got "conect"); did you mean "connect"?',
        ],
        defaults="defaults: {retry: {when: [conect]}}",
    ),
    case(
        "retry after nothing",
        ["5:20: defaults.retry.when: must not be empty; give at least one"],
        defaults="defaults: {retry: {when: []}}",
    ),
    case(
        "no attempt at all",
        ['5:30: defaults.retry.attempts: must be at least 1 (got "0")'],
        defaults="defaults: {retry: {attempts: 0}}",
    ),
    case(
        "retry budget as a number",
        ['5:28: defaults.retry.budget: needs a unit, such as 20% (got "0.2")'],
        defaults="defaults: {retry: {budget: 0.2}}",
    ),
    case(
        "key beside keys",
        ["2:58: providers.web.keys: stands beside key; give key for one, or keys for several"],
        providers="providers: {local: {kind: llamacpp}, web: {kind: openai, keys: [x], key: y}}",
    ),
    case(
        "no keys",
        ["2:58: providers.web.keys: must not be empty; give at least one"],
        providers="providers: {local: {kind: llamacpp}, web: {kind: openai, keys: []}}",
    ),
    case(
        "keys without a list",
        ["2:64: providers.web.keys: must be a list"],
        providers="providers: {local: {kind: llamacpp}, web: {kind: openai, keys: x}}",
    ),
    case(
        "url beside urls",
        ["2:75: providers.web.urls: stands beside url; give url for one, or urls for several"],
        providers="providers: {local: {kind: llamacpp}, web: {kind: openai, url: 'http://a', urls: ['http://b']}}",
    ),
    case(
        "url twice",
        ["2:78: providers.web.urls[1]: the same as urls[0]; give each server once"],
        providers="providers: {local: {kind: llamacpp}, web: {kind: openai, urls: ['http://a/', 'http://a']}}",
    ),
    case(
        "health of a child",
        ["2:37: providers.local.health: the kind llamacpp is served by the gateway itself and takes no health"],
        providers="providers: {local: {kind: llamacpp, health: none}, web: {kind: openai, key: '${KEY:-}'}}",
    ),
    case(
        "health at no path",
        ['2:73: providers.web.health.path: must be a path that begins with /, such as /models (got "models")'],
        providers="providers: {local: {kind: llamacpp}, web: {kind: openai, health: {path: models}, key: '${KEY:-}'}}",
    ),
    case(
        "tenant of an unknown priority",
        ['5:108: tenants.a.priority: must be high, normal or low (got "higher"); did you mean "high"?'],
        tenants=f"tenants: {{a: {{keys: ['sha256:{'ab' * 32}'], priority: higher}}}}",
    ),
    case(
        "tenant of no weight",
        ['5:106: tenants.a.weight: must be at least 1 (got "0")'],
        tenants=f"tenants: {{a: {{keys: ['sha256:{'ab' * 32}'], weight: 0}}}}",
    ),
    case(
        "unknown then",
        ['5:33: pools.p.then: there is no pool or model "q"; known here: far, m, p'],
        pools="pools: {p: {members: [m], then: q}}",
    ),
    case(
        "then cycle",
        ["5:61: pools.q.then: leads back to where it began: p → q → p"],
        pools="pools: {p: {members: [m], then: q}, q: {members: [m], then: p}}",
    ),
    case(
        "then itself",
        ["5:33: pools.p.then: leads back to where it began: p → p"],
        pools="pools: {p: {members: [m], then: p}}",
    ),
    case(
        "dead pool",
        ['5:9: pools.p: no member can answer: provider "web" is off, its key is empty; set a key, or give `then`'],
        pools="pools: {p: {members: [far]}}",
    ),
    case(
        "dead chain",
        [
            '5:9: pools.p: no member can answer: provider "web" is off, its key is empty; set a key, or give `then`',
            '5:39: pools.q: no member can answer: provider "web" is off, its key is empty; set a key, or give `then`',
        ],
        pools="pools: {p: {members: [far], then: q}, q: {members: [far]}}",
    ),
    case(
        "dead model of a route",
        [
            '4:39: routes[0].to: model "far" can\'t answer: provider "web" is off, its key is empty; set the key, or send to a pool'
        ],
        routes="routes: [{name: r, match: [auto], to: far}]",
    ),
    case(
        "pool named as a model",
        ["3:10: models.m: a pool has this name; pools and models share their names, so give another"],
        pools="pools: {m: {members: [m]}}",
    ),
    case(
        "pool named requested",
        ['5:9: pools.requested: "requested" means the model asked for; give another name'],
        pools="pools: {requested: {members: [m]}}",
    ),
    case(
        "unknown target",
        ['4:39: routes[0].to: there is no pool or model "n"; known here: far, m'],
        routes="routes: [{name: r, match: [auto], to: n}]",
    ),
    case(
        "requested name that is nothing",
        [
            '4:28: routes[0].match[0]: there is no model or pool "auto", and `to: requested` leads only to those; name one, or send it to a pool'
        ],
        routes="routes: [{name: r, match: [auto, m], to: requested}]",
    ),
    case(
        "requested pattern that fits nothing",
        [
            '4:28: routes[0].match[0]: no model or pool fits "gpt-*", and `to: requested` leads only to those; name one, or send it to a pool'
        ],
        routes="routes: [{name: r, match: ['gpt-*', m], to: requested}]",
    ),
    case(
        "family as member",
        ['5:23: pools.p.members[0]: "x/*" is a family of models; only `to: requested` leads to one of a family'],
        models="models: {m: {provider: local, price: {input: 0, output: 0}}, 'x/*': {provider: local, price: {input: 0, output: 0}}}",
        pools="pools: {p: {members: ['x/*']}}",
    ),
    case(
        "family with an id",
        ['3:91: models["x/*"].id: a family of models has no id: each name is sent on as it was asked for'],
        models="models: {m: {provider: local, price: {input: 0, output: 0}}, 'x/*': {provider: local, id: x, price: {input: 0, output: 0}}}",
    ),
    case(
        "family at a URL of one model",
        [
            '3:62: models["x/*"]: a family of models can\'t be where the URL holds {model}, as that of provider "local"; give each model by its name'
        ],
        providers="providers: {local: {kind: openai, url: 'http://x/{model}'}, web: {kind: openai}}",
        models="models: {m: {provider: local, price: {input: 0, output: 0}}, 'x/*': {provider: local, price: {input: 0, output: 0}}}",
    ),
    case(
        "route name twice",
        ["4:47: routes[1].name: routes[0] has this name already"],
        routes="routes: [{name: r, match: [a], to: m}, {name: r, match: [b], to: m}]",
    ),
    case(
        "route behind an unconditional one",
        [
            '4:42: routes[1]: can never be reached: all that it matches goes to routes[0] "r"; put this route before it, or give that one a `when`'
        ],
        routes="routes: [{name: r, match: ['*'], to: m}, {name: s, match: [auto], when: 'request.stream', to: m}]",
    ),
    case(
        "route behind an identical one",
        [
            '4:67: routes[1]: can never be reached: all that it matches goes to routes[0] "r"; put this route before it, or give that one a `when`'
        ],
        routes="routes: [{name: r, match: [a, b], when: 'request.stream', to: m}, {name: s, match: [b, a], when: 'request.stream ', to: m}]",
    ),
    case(
        "route behind two",
        [
            '4:73: routes[2]: can never be reached: all that it matches goes to routes[0] "r" and routes[1] "s"; put this route before it, or give that one a `when`'
        ],
        routes="routes: [{name: r, match: ['a*'], to: m}, {name: s, match: [b], to: m}, {name: t, match: [abc, b], to: m}]",
    ),
    # conditions
    case(
        "truncated #",
        [
            "7:11: routes[0].when: a condition without quotes ends at \" #\"; quote it: 'request.tools > 0' # more than none"
        ],
        routes="routes:\n  - name: r\n    match: [auto]\n    when: request.tools > 0 # more than none\n    to: m",
    ),
    case(
        "# inside a text",
        ['7:11: routes[0].when: the condition is cut at " #"; quote it: \'headers["x"] == "a #1"\''],
        routes='routes:\n  - name: r\n    match: [auto]\n    when: headers["x"] == "a #1"\n    to: m',
    ),
    case(
        "# inside braces",
        ["5:54: the condition must be quoted: when: 'request.tools > 0 # y'"],
        routes="routes:\n  - {name: r, match: [auto], when: request.tools > 0 # y, to: m}\n",
    ),
    case(
        "colon in a condition",
        ["7:46: the condition must be quoted: when: 'request.stream ? request.tools > 0 : false'"],
        routes="routes:\n  - name: r\n    match: [auto]\n    when: request.stream ? request.tools > 0 : false\n    to: m",
    ),
    case(
        "colon in a condition in braces",
        ["5:58: the condition must be quoted: when: 'request.stream ? true : false'"],
        routes="routes:\n  - {name: r, match: [auto], when: request.stream ? true : false, to: m}",
    ),
    case(
        "comma in a condition in braces",
        ['5:53: the condition must be quoted: when: \'request.model in ["a", "b"]\''],
        routes='routes:\n  - {name: r, match: [auto], when: request.model in ["a", "b"], to: m}',
    ),
    case(
        "call in a condition in braces",
        ['5:66: the condition must be quoted: when: \'request.model.replace("a", "b") == "c"\''],
        routes='routes:\n  - {name: r, match: [auto], when: request.model.replace("a", "b") == "c", to: m}',
    ),
    case(
        "! before a condition",
        ["7:11: tags (words that begin with !) are not taken; the condition must be quoted: when: '!request.stream'"],
        routes="routes:\n  - name: r\n    match: [auto]\n    when: !request.stream\n    to: m",
    ),
    case(
        "text before a condition",
        ["7:15: the condition must be quoted: when: '\"a\" == request.model'"],
        routes='routes:\n  - name: r\n    match: [auto]\n    when: "a" == request.model\n    to: m',
    ),
    case(
        "let with a colon",
        ["6:30: the condition must be quoted: odd: 'request.stream ? true : false'"],
        let="let:\n  odd: request.stream ? true : false",
    ),
    case(
        "unknown variable",
        ['4:42: routes[0].when: unknown variable "request.tool"; did you mean request.tools?'],
        routes="routes: [{name: r, match: [auto], when: 'request.tool > 0', to: m}]",
    ),
    case(
        "wrong type",
        ['4:56: routes[0].when: ">" cannot compare these: the left is a string, the right is a whole number'],
        routes="routes: [{name: r, match: [auto], when: 'request.model > 3', to: m}]",
    ),
    case(
        "no condition",
        [
            "4:42: routes[0].when: the condition must be true or false, and this is a whole number: compare it with something"
        ],
        routes="routes: [{name: r, match: [auto], when: 'request.tools', to: m}]",
    ),
    case(
        "condition that breaks off",
        ["4:57: routes[0].when: the condition ends too early"],
        routes="routes: [{name: r, match: [auto], when: 'request.tools >', to: m}]",
    ),
    case(
        "empty condition",
        ["4:41: routes[0].when: is empty; give a condition in quotes, or remove the line"],
        routes="routes: [{name: r, match: [auto], when: '', to: m}]",
    ),
    case(
        "true is no condition of YAML",
        ["4:41: routes[0].when: is empty; give a condition in quotes, or remove the line"],
        routes="routes: [{name: r, match: [auto], when: , to: m}]",
    ),
    case(
        "tier before classification",
        ['4:42: routes[0].when: "tier" is known only after classification: a condition cannot use it'],
        routes="routes: [{name: r, match: [auto], when: 'tier == simple', to: m}]",
    ),
    case(
        "condition in lines",
        ['9:12: routes[0].when: unknown variable "request.modell"; did you mean request.model?'],
        routes="routes:\n  - name: r\n    match: [auto]\n    when: |\n      request.tools > 0\n        && request.modell == 'x'\n    to: m",
    ),
    case(
        "folded condition",
        ['9:7: routes[0].when: unknown variable "request.modell"; did you mean request.model?'],
        routes="routes:\n  - name: r\n    match: [auto]\n    when: >-\n      request.tools > 0 &&\n      request.modell == 'x'\n    to: m",
    ),
    case(
        "plain condition over lines",
        ['8:10: routes[0].when: unknown variable "request.modell"; did you mean request.model?'],
        routes="routes:\n  - name: r\n    match: [auto]\n    when: request.tools > 0\n      && request.modell == 'x'\n    to: m",
    ),
    case(
        "double-quoted condition",
        ['4:69: routes[0].when: unknown variable "request.modell"; did you mean request.model?'],
        routes='routes: [{name: r, match: [auto], when: "headers[\\"a\\"] == \\"b\\" && request.modell == \'\'", to: m}]',
    ),
    case(
        "single-quoted condition",
        ['4:61: routes[0].when: unknown variable "request.modell"; did you mean request.model?'],
        routes="routes: [{name: r, match: [auto], when: 'tenant == ''b'' && request.modell == tenant', to: m}]",
    ),
    case(
        "let that is wrong",
        ["5:11: let.a: the condition must be true or false, and this is a whole number: compare it with something"],
        let="let: {a: 'request.tools'}",
        routes="routes: [{name: r, match: [auto], when: 'a', to: m}]",
    ),
    case(
        "let with a bad name",
        ["5:7: let.a-b: must be a name of letters, digits and _, such as agentic"],
        let="let: {a-b: 'true'}",
    ),
    case(
        "let that hides a variable",
        ['5:17: let.request: "request" is the name of a variable: choose another'],
        let="let: {request: 'true'}",
    ),
    # references to the environment
    case(
        "unset variable",
        [
            "5:23: server.admin.key: the environment variable NOT_SET is not set; set it, or write ${NOT_SET:-} if it may be empty"
        ],
        server="server: {admin: {key: '${NOT_SET}'}}",
    ),
    case(
        "empty variable",
        [
            "5:23: server.admin.key: the environment variable EMPTY is empty; set it, or write ${EMPTY:-} if it may be empty"
        ],
        server="server: {admin: {key: '${EMPTY}'}}",
    ),
    case(
        "malformed reference",
        ["5:23: server.admin.key: a ${ must be ${NAME}, ${NAME:-default} or ${file:path}; $${ stands for a literal ${"],
        server="server: {admin: {key: '${not-a-name}'}}",
    ),
    case(
        "missing secret file",
        ["5:23: server.admin.key: ${file:…}: no such file"],
        server="server: {admin: {key: '${file:nope}'}}",
    ),
    case(
        "value of a wrong type",
        ["5:17: server.watch: must be true or false, without quotes (got ${SECRET})"],
        server="server: {watch: '${SECRET}'}",
    ),
    case(
        "value that names nothing",
        ["4:39: routes[0].to: there is no pool or model ${SECRET}; known here: far, m"],
        routes="routes: [{name: r, match: [auto], to: '${SECRET}'}]",
    ),
    case(
        "value in a duration",
        [
            "5:31: defaults.timeout.connect: must be a duration such as 500ms, 30s, 5m or 1h; none switches it off (got ${SECRET})"
        ],
        defaults="defaults: {timeout: {connect: '${SECRET}'}}",
    ),
    # tenants and listeners
    case(
        "plaintext key",
        [
            '5:22: tenants.a.keys[0]: must be "sha256:" and 64 hex digits, never the key itself; `gateway keys new` makes a key and the line for this file'
        ],
        tenants="tenants: {a: {keys: [sk-gw-verysecretverysecret]}}",
    ),
    case(
        "short hash",
        [
            '5:22: tenants.a.keys[0]: must be "sha256:" and 64 hex digits, never the key itself; `gateway keys new` makes a key and the line for this file'
        ],
        tenants="tenants: {a: {keys: ['sha256:abcd']}}",
    ),
    case(
        "tenant without keys",
        ["5:11: tenants.a.keys: is missing (hashes of its keys; `gateway keys new` makes one)"],
        tenants="tenants: {a: {}}",
    ),
    case(
        "one key, two tenants",
        ["5:110: tenants.b.keys[0]: the same key as tenants.a.keys[0]; a key belongs to one tenant"],
        tenants="tenants: {a: {keys: ['sha256:abababababababababababababababababababababababababababababababab']}, b: {keys: ['sha256:ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB']}}",
    ),
    case(
        "tenant's model that is nothing",
        ['5:107: tenants.a.models[0]: nothing of the name "autoo" can be asked for; did you mean "auto"?'],
        tenants="tenants: {a: {keys: ['sha256:abababababababababababababababababababababababababababababababab'], models: [autoo]}}",
    ),
    case(
        "open listener without keys",
        [
            "5:18: server.listen: this address is open to other machines and there are no tenants, so any client could send requests without a key; add tenants, or say allow_without_keys: everyone"
        ],
        server="server: {listen: '0.0.0.0:8000'}",
    ),
    case(
        "open listener in a list",
        [
            "5:34: server.listen[1]: this address is open to other machines and there are no tenants, so any client could send requests without a key; add tenants, or say allow_without_keys: everyone"
        ],
        server="server: {listen: ['127.0.0.1:1', '[::]:8000']}",
    ),
    case(
        "address without port",
        [
            '5:18: server.listen: must be host:port, such as "127.0.0.1:8000", or unix:/run/gateway.sock (got "localhost")'
        ],
        server="server: {listen: localhost}",
    ),
    case(
        "port out of range",
        [
            '5:18: server.listen: must be host:port, such as "127.0.0.1:8000", or unix:/run/gateway.sock (got "localhost:99999")'
        ],
        server="server: {listen: 'localhost:99999'}",
    ),
    case(
        "one address for two listeners",
        ['5:18: server.listen: the admin listener has the same address (got "127.0.0.1:9000")'],
        server="server: {listen: '127.0.0.1:9000'}",
    ),
    case(
        "one address twice",
        ["5:47: server.listen[1].address: the same address as server.listen[0]"],
        server="server: {listen: ['127.0.0.1:8000', {address: '127.0.0.1:8000'}]}",
    ),
    case(
        "open listener with TLS, without keys",
        [
            "5:28: server.listen.address: this address is open to other machines and there are no tenants, so any client could send requests without a key; add tenants, or say allow_without_keys: everyone",
            '5:56: server.listen.tls.cert: no such file (got "none.crt")',
        ],
        server="server: {listen: {address: '0.0.0.0:8443', tls: {cert: none.crt, key: none.key}}}",
    ),
    case(
        "name that begins like a loopback address",
        [
            "5:18: server.listen: this address is open to other machines and there are no tenants, so any client could send requests without a key; add tenants, or say allow_without_keys: everyone"
        ],
        server="server: {listen: '127.example.com:8000'}",
    ),
    case(
        "mode of a TCP address",
        ["5:46: server.listen.mode: is for a Unix socket; a TCP address has no file"],
        server="server: {listen: {address: '127.0.0.1:8000', mode: '0660'}}",
    ),
    case(
        "mode in letters",
        ['5:44: server.listen.mode: must be three octal digits, such as 0660 (got "rw-rw----")'],
        server="server: {listen: {address: 'unix:g', mode: 'rw-rw----'}}",
    ),
    case(
        "owner that is no name",
        [
            '5:45: server.listen.owner: must be a user, a group or both, such as gateway:www-data or :www-data (got "a b")'
        ],
        server="server: {listen: {address: 'unix:g', owner: 'a b'}}",
    ),
    case(
        "certificate without its key",
        [
            "5:44: server.listen[0].tls.key: is missing (file with its private key, in PEM and not encrypted; relative to this file)"
        ],
        server="server: {listen: [{address: '127.0.0.1:1', tls: {cert: c}}]}",
    ),
    case(
        "listener without an address",
        ["5:10: server.listen.address: is missing (host:port or unix:path)"],
        server="server: {listen: {mode: '0600'}}",
    ),
    # includes
    case(
        "unknown builtin",
        ['5:11: include[0]: there is no "builtin:price"; did you mean "builtin:prices"?'],
        include="include: [builtin:price]",
    ),
    case(
        "missing include",
        ['5:11: include[0]: can\'t include "nope.yaml": no such file'],
        include="include: [nope.yaml]",
    ),
    case("include of a directory", ['5:11: include[0]: can\'t include ".": is a directory'], include="include: ['.']"),
    # checks
    case(
        "check of an unknown route",
        ['5:58: checks[0].expect.route: there is no route "rr"; did you mean "r"?'],
        checks="checks: [{name: c, given: {model: auto}, expect: {route: rr}}]",
    ),
    case(
        "check of an unknown pool",
        ['5:57: checks[0].expect.pool: there is no pool "p"'],
        checks="checks: [{name: c, given: {model: auto}, expect: {pool: p}}]",
    ),
    case(
        "check of an unknown tenant",
        ['5:49: checks[0].given.tenant: there is no tenant "t"'],
        checks="checks: [{name: c, given: {model: auto, tenant: t}, expect: {route: r}}]",
    ),
    case(
        "check that expects nothing",
        ["5:42: checks[0].expect: must not be empty; give at least one"],
        checks="checks: [{name: c, given: {model: auto}, expect: {}}]",
    ),
    case(
        "check with an impossible hour",
        ['5:47: checks[0].given.hour: must be at most 23 (got "24")'],
        checks="checks: [{name: c, given: {model: auto, hour: 24}, expect: {route: r}}]",
    ),
    # not yet
    case(
        "cache",
        [
            "4:42: routes[0].cache: not available yet (the cache of answers); remove it",
            "5:1: caches: not available yet (the cache of answers); remove it",
        ],
        caches="caches: {}",
        routes="routes: [{name: r, match: [auto], to: m, cache: c}]",
    ),
    case(
        "shared store",
        ["5:16: state.store: not available yet (a shared store)"],
        state="state: {store: 'redis://localhost'}",
    ),
    case(
        "no workers",
        ['5:19: server.workers: must be a whole number from 1 to 64, or auto (got "0")'],
        server="server: {workers: 0}",
    ),
    case(
        "too many workers",
        ['5:19: server.workers: must be a whole number from 1 to 64, or auto (got "65")'],
        server="server: {workers: 65}",
    ),
    case(
        "half a worker",
        ['5:19: server.workers: must be a whole number from 1 to 64, or auto (got "1.5")'],
        server="server: {workers: 1.5}",
    ),
    case(
        "TLS as a scheme",
        [
            '5:18: server.listen: must be host:port, with the certificate beside it: {address: "0.0.0.0:8443", tls: {cert: …, key: …}} (got "https://0.0.0.0:443")'
        ],
        server="server: {listen: 'https://0.0.0.0:443'}",
    ),
    case(
        "classifier",
        ["5:1: classifier: not available yet (classification by complexity); remove it"],
        classifier="classifier: {kind: local}",
    ),
    case(
        "choosing",
        [
            "4:10: routes[0].to: is missing (a pool, a model, or `requested`: the requested model)",
            "4:35: routes[0].choose: not available yet (choosing by complexity); remove it",
            "4:61: routes[0].reference: not available yet (the counterfactual price); remove it",
            "4:75: routes[0].experiment: not available yet (experiments); remove it",
            "4:90: routes[0].mirror: not available yet (mirrored traffic); remove it",
        ],
        routes="routes: [{name: r, match: [auto], choose: {by: complexity}, reference: m, experiment: e, mirror: {to: m}}]",
    ),
    case(
        "limits",
        [
            "5:1: limits: not available yet (rate and token limits); remove it",
            "6:98: tenants.a.limits: not available yet (rate and token limits); remove it",
            "6:110: tenants.a.over_budget: not available yet (budgets); remove it",
        ],
        limits="limits: {per_key: {requests: 100/60s}}",
        tenants="tenants: {a: {keys: ['sha256:abababababababababababababababababababababababababababababababab'], limits: {}, over_budget: {to: m}}}",
    ),
    case(
        "tracing",
        [
            "5:11: observe.zipkin: not available yet (tracing); remove it",
            "5:31: observe.trace_share: not available yet (tracing); remove it",
        ],
        observe="observe: {zipkin: 'http://x', trace_share: 10%}",
    ),
    case(
        "experiments", ["5:1: experiments: not available yet (experiments); remove it"], experiments="experiments: {}"
    ),
    # origins
    case(
        "origin with a path",
        [
            '5:17: server.cors[0]: must be an origin without a path, such as https://app.example, or "*" (got "https://app.example/")'
        ],
        server="server: {cors: ['https://app.example/']}",
    ),
    case(
        "origin without a scheme",
        [
            '5:16: server.cors: must be an origin without a path, such as https://app.example, or "*" (got "app.example")'
        ],
        server="server: {cors: app.example}",
    ),
]


@pytest.mark.parametrize(("text", "errors"), TRAPS)
def test_trap_is_answered_with_exactly(text: str, errors: list[str], files: Files) -> None:
    assert files.errors(text) == errors


def test_the_table_is_about_a_file_that_is_sound_otherwise(files: Files) -> None:
    assert files.errors(config()) == []


def test_all_faults_are_told_at_once_in_the_order_of_the_file(files: Files) -> None:
    errors = files.errors(
        config(
            server="server: {watch: yes, lisen: x}",
            pools="pools: {p: {members: [m], then: q, balance: ewm}}",
            let="let: {a: 'request.tools'}",
            defaults="defaults: {timeout: {connect: 3}}",
            tenants="tenants: {t: {keys: [plain]}}",
        )
    )
    assert [error.split(": ")[1] for error in errors] == [
        "server.watch",
        "server.lisen",
        "pools.p.then",
        "pools.p.balance",
        "let.a",
        "defaults.timeout.connect",
        "tenants.t.keys[0]",
    ]


def test_a_broken_match_breaks_nothing_else(files: Files) -> None:
    text = config(
        routes="routes: [{name: r, match: auto, to: m}]",
        tenants=f"tenants: {{a: {{keys: ['sha256:{'ab' * 32}'], models: [m]}}}}",
    )
    assert files.errors(text) == ['4:27: routes[0].match: must be a list (got "auto")']


def test_long_chains_and_many_routes_take_no_time(files: Files) -> None:
    pools = "pools:\n" + "".join(f"  p{i}: {{members: [far], then: p{i + 1}}}\n" for i in range(2_000))
    routes = "routes:\n" + "".join(f"  - {{name: r{i}, match: [a{i}], to: m}}\n" for i in range(2_000))
    began = monotonic()
    assert files.errors(config(pools=f"{pools}  p2000: {{members: [m]}}", routes=routes)) == []
    assert len(files.errors(config(pools=f"{pools}  p2000: {{members: [far]}}", routes=routes))) == 2_001
    assert monotonic() - began < 20


def test_what_could_not_be_read_blames_no_name_that_it_may_hold(files: Files) -> None:
    text = config(include="include: [nope.yaml]", pools="pools: {p: {members: [elsewhere]}}")
    assert files.errors(text) == ['5:11: include[0]: can\'t include "nope.yaml": no such file']
