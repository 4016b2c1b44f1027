"""A configuration on its way to the workers."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import msgpack

from gateway.config.spec import Spec


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    """A checked configuration with its number, and the addresses of the servers that the gateway runs for it."""

    generation: int
    spec: Spec
    encoded: bytes  # the spec as the bus carries it
    addresses: Mapping[str, str]  # provider → `unix:/…`

    @classmethod
    def of(cls, generation: int, spec: Spec, addresses: Mapping[str, str]) -> "ConfigVersion":
        """Make a version, encoding the spec once for all workers."""
        return cls(generation, spec, msgpack.encode(spec), dict(addresses))


def decode_spec(encoded: bytes) -> Spec:
    """Return the configuration that a worker received."""
    return msgpack.decode(encoded, type=Spec)
