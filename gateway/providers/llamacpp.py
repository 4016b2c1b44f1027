"""`kind: llamacpp`: the embedded local model, served by llama.cpp's own server in a child process of the gateway."""

from gateway.core.kinds import ProviderKind
from gateway.providers.base import KINDS, HttpProvider


class LlamaCpp(HttpProvider):
    """Served by a child process that the gateway starts and watches; its address is a Unix socket."""

    kind = ProviderKind(
        name="llamacpp",
        summary="a local model in a child process of the gateway; needs the extra `local`",
        settings={
            "weights": {
                "type": "string",
                "minLength": 1,
                "description": "`smollm2-135m` (in the extra `local`), or the absolute path of a GGUF file",
                "default": "smollm2-135m",
            },
            "threads": {"type": "integer", "minimum": 1, "maximum": 256, "default": 1, "description": "CPU threads"},
            "context": {
                "$ref": "#/$defs/count",
                "default": "2k",
                "description": "tokens of context for each request served at the same time",
            },
            "parallel": {
                "type": "integer",
                "minimum": 1,
                "maximum": 64,
                "default": 2,
                "description": "requests served at the same time; further ones wait",
            },
        },
        server_module="gateway.runtime.model_server",
        bounds_output=True,
    )
    DIALECTS = ("openai_chat",)


KINDS.register("llamacpp", LlamaCpp)
