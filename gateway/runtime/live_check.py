"""`gateway check --live`: ask every provider for its models, and say what is wrong with its URL, its key or a model's id."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from gateway.compile.snapshot import compile_snapshot
from gateway.config.spec import ModelSpec, Spec
from gateway.core.clock import SystemClock
from gateway.core.errors import GatewayError
from gateway.pools.directory import Directory
from gateway.pools.target import Target
from gateway.providers import provider_kinds
from gateway.providers.transport import Transport, WireRequest
from gateway.resilience.timeouts import Timeouts
from gateway.streaming.relay import Document

PATIENCE_S: Final = 10.0
BODY_LIMIT: Final = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one provider, with one of its URLs and one of its keys, answered."""

    provider: str
    is_ok: bool
    message: str

    def __str__(self) -> str:
        return f"{self.provider}: {self.message}"


def check_live(spec: Spec) -> list[Outcome]:
    """Ask all providers that are on, at the same time. Blocking; at most `PATIENCE_S` and a little. Sends no prompt."""
    return asyncio.run(_check_all(spec))


async def _check_all(spec: Spec) -> list[Outcome]:
    snapshot = compile_snapshot(spec, 0, {}, Directory(SystemClock()), workers=1)
    plans = (*snapshot.plans.values(), *snapshot.passthrough_plans.values())
    asked: dict[tuple[str, object, bytes | None], Target] = {}
    for target in (target for plan in plans for stage in plan.stages for target in stage.targets):
        name = target.endpoint.provider
        if not provider_kinds()[spec.providers[name].kind].is_managed:
            asked.setdefault((name, target.provider.origin, target.provider.health_check_head("")), target)
    transport = Transport()
    try:
        return list(await asyncio.gather(*(_check(transport, spec, target) for target in asked.values())))
    finally:
        transport.close()


async def _check(transport: Transport, spec: Spec, target: Target) -> Outcome:
    name = target.endpoint.provider
    head = target.provider.health_check_head("")
    if head is None:
        return Outcome(name, True, "not asked: servers of this kind have no list of models")
    try:
        async with asyncio.timeout(PATIENCE_S):
            status, body = await _get(transport, target, head)
    except TimeoutError:
        return Outcome(name, False, f"no answer within {PATIENCE_S:.0f}s; check its url and the way to it")
    except GatewayError as error:
        return Outcome(name, False, f"{error.message}; check its url")
    path = head.split(b" ", 2)[1].decode("latin-1").partition("?")[0]
    if status != 200:
        return Outcome(name, status == 429, _refusal(status, path))
    offered = _ids(body)
    if offered is None:
        return Outcome(name, False, f"GET {path} answers with something else than a list of models; check its url")
    wrong = list(_missing(spec.models, name, offered))
    return Outcome(name, not wrong, "; ".join([f"{len(offered)} models", *wrong]))


async def _get(transport: Transport, target: Target, head: bytes) -> tuple[int, bytes]:
    """Return status and body. Raises `UpstreamError`."""
    request = WireRequest(
        origin=target.provider.origin,
        head=head,
        body=b"",
        timeouts=Timeouts(PATIENCE_S, PATIENCE_S, PATIENCE_S, PATIENCE_S, PATIENCE_S),
        is_stream=False,
        total_at=asyncio.get_running_loop().time() + PATIENCE_S,
        write_timeout_s=PATIENCE_S,
    )
    response = await transport.send(request)
    try:
        document = Document(response, BODY_LIMIT)
        response.attach(document)
        return response.status, await document.read()
    finally:
        response.close()


def _refusal(status: int, path: str) -> str:
    """Word a status other than 200."""
    match status:
        case 401 | 403:
            return f"its key is refused ({status}); check the key, and that it belongs to this url"
        case 404 | 405:
            hint = "" if "/v1/" in path else "; most urls of this kind end with /v1"
            return f"GET {path} is unknown there ({status}): the url is wrong, or the server lists no models{hint}"
        case 429:
            return "url and key are right; it is at its rate limit (429)"
        case _ if status >= 500:
            return f"it answers with an error of its own ({status})"
        case _:
            return f"GET {path} is refused ({status})"


def _ids(body: bytes) -> list[str] | None:
    """Return the ids of a list of models; None where it is none."""
    try:
        data = json.loads(body)["data"]
        return [str(one["id"]) for one in data]
    except (ValueError, KeyError, TypeError):
        return None


def _missing(models: Mapping[str, ModelSpec], provider: str, offered: list[str]) -> Iterator[str]:
    """Word each model of a provider that it does not list."""
    for model in models.values():
        if model.provider != provider or model.is_family or model.id in offered:
            continue
        close = get_close_matches(model.id, offered, n=1)
        yield f'there is no model "{model.id}"' + (f', did you mean "{close[0]}"?' if close else "")
