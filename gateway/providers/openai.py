"""`kind: openai`: OpenAI itself, and every server with its API at `url`: vLLM, Ollama, llama.cpp, and many more."""

from typing import Final

from gateway.config.spec import ProviderSpec
from gateway.core.kinds import ProviderKind
from gateway.providers.base import KINDS, HttpProvider
from gateway.providers.dialect_setting import dialects_of, dialects_schema
from gateway.providers.header_policy import IDEMPOTENCY_KEY, from_client
from gateway.providers.tls_contexts import TlsContexts

OPENAI_APIS: Final = ("chat", "responses", "embeddings")
COMPATIBLE_APIS: Final = ("chat", "embeddings")

# What is written as a kind by mistake: each is a server with this API, at its own URL.
_OTHERS: Final = {
    **dict.fromkeys(("azure", "azure_openai", "azure-openai"), "https://NAME.openai.azure.com/openai/v1"),
    "cerebras": "https://api.cerebras.ai/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "fireworks": "https://api.fireworks.ai/inference/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai",
    "groq": "https://api.groq.com/openai/v1",
    "lmstudio": "http://127.0.0.1:1234/v1",
    "litellm": "http://127.0.0.1:4000/v1",
    "mistral": "https://api.mistral.ai/v1",
    "ollama": "http://127.0.0.1:11434/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "sglang": "http://127.0.0.1:30000/v1",
    "together": "https://api.together.xyz/v1",
    "vllm": "http://127.0.0.1:8000/v1",
    "xai": "https://api.x.ai/v1",
}


def _quoted(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


class OpenAI(HttpProvider):
    """Its base URL ends before `/chat/completions`, as in the official clients."""

    kind = ProviderKind(
        name="openai",
        summary="OpenAI, or any server that speaks its dialect (vLLM, Ollama, llama.cpp) at `url`",
        default_url="https://api.openai.com/v1",
        others=_OTHERS,
        settings={
            "speaks": dialects_schema(f"{_quoted(OPENAI_APIS)} at OpenAI itself, {_quoted(COMPATIBLE_APIS)} elsewhere.")
        },
    )
    health_path = "/models"
    CLIENT_HEADERS = (IDEMPOTENCY_KEY, from_client("openai-beta", "all", "beta features that the client uses"))

    def __init__(self, spec: ProviderSpec, address: str = "", contexts: TlsContexts | None = None) -> None:
        super().__init__(spec, address, contexts)
        self.dialects = dialects_of(spec, OPENAI_APIS if spec.url == self.kind.default_url else COMPATIBLE_APIS)

    def _below(self, path: str) -> str:
        return path.removeprefix("/v1")


KINDS.register("openai", OpenAI)
