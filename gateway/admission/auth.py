"""Authentication: from the API key in a request's headers to its principal. Fails closed."""

import hmac
from collections.abc import Mapping
from hashlib import sha256

from gateway.config.spec import TenantSpec
from gateway.core.errors import Unauthenticated
from gateway.core.exchange import ANYBODY, Principal


class Auth:
    """The keys of all tenants, by hash. Without tenants every request is `ANYBODY`'s and keys are ignored."""

    def __init__(self, tenants: Mapping[str, TenantSpec]) -> None:
        self._principals = {
            digest: (digest, Principal(tenant.name, digest[:8], tenant.labels, tenant.models))
            for tenant in tenants.values()
            for digest in tenant.keys
        }
        self._is_open = not tenants

    def identify(self, headers: Mapping[str, str]) -> Principal:
        """Return the principal of a request. `headers` are case-insensitive. Raises `Unauthenticated`.

        The key may be in `Authorization: Bearer` or in `x-api-key`. The same key in both is one credential.
        """
        if self._is_open:
            return ANYBODY
        keys = _credentials(headers)
        if not keys:
            raise Unauthenticated("no API key: send it as `Authorization: Bearer KEY` or as `x-api-key: KEY`")
        if len(set(keys)) > 1:
            raise Unauthenticated("two different API keys in one request")
        digest = sha256(keys[0].encode("utf-8", "surrogateescape")).hexdigest()
        known, principal = self._principals.get(digest, ("", ANYBODY))
        # The look-up leaks nothing: a client cannot steer its hash towards a known one. Compared in constant time all the same.
        if not hmac.compare_digest(known, digest):
            raise Unauthenticated("the API key is not known")
        return principal


def _credentials(headers: Mapping[str, str]) -> list[str]:
    """Return every API key in the headers. Raises `Unauthenticated` for an Authorization header of another form."""
    get_all = getattr(headers, "getall", None)
    found: list[str] = []
    for name in ("authorization", "x-api-key"):
        if name not in headers:
            continue
        values = get_all(name) if get_all is not None else [headers[name]]
        for value in values:
            if name == "authorization":
                scheme, _, key = value.strip().partition(" ")
                if scheme.lower() != "bearer" or not key.strip():
                    raise Unauthenticated("the Authorization header is not of the form `Bearer KEY`")
                found.append(key.strip())
            else:
                found.append(value.strip())
    return found
