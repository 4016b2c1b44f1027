"""`kind: simulator`: a scripted provider for demos and tests, in a child process of the gateway."""

from gateway.config.spec import ModelSpec, ProviderSpec
from gateway.core.kinds import ProviderKind
from gateway.providers.base import KINDS, HttpProvider
from gateway.providers.dialect_setting import dialects_of, dialects_schema
from gateway.providers.simulator_behaviour import SIMULATE_SCHEMA, simulated_model_id
from gateway.providers.tls_contexts import TlsContexts

SPOKEN = ("chat", "embeddings")


class Simulator(HttpProvider):
    """Served by a child process that the gateway starts and watches. A model without `simulate:` goes by its `id`."""

    kind = ProviderKind(
        name="simulator",
        summary="a scripted provider for demos and tests, in a child process of the gateway",
        model_settings={
            "simulate": {
                "type": "object",
                "additionalProperties": False,
                "properties": dict(SIMULATE_SCHEMA),
                "description": "how the simulated model behaves",
            }
        },
        settings={"speaks": dialects_schema("`chat` and `embeddings`.")},
        server_module="gateway.runtime.simulator_process",
    )

    def __init__(self, spec: ProviderSpec, address: str = "", contexts: TlsContexts | None = None) -> None:
        super().__init__(spec, address, contexts)
        self.dialects = dialects_of(spec, SPOKEN)

    def model_id(self, model: ModelSpec, requested: str) -> str:
        behaviour = model.settings.get("simulate")
        return super().model_id(model, requested) if behaviour is None else simulated_model_id(behaviour)


KINDS.register("simulator", Simulator)
