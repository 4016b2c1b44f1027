"""`kind: openai`: OpenAI itself and everything that speaks its dialect at some URL: vLLM, Ollama, llama.cpp, and many more."""

from gateway.core.kinds import ProviderKind
from gateway.providers.base import KINDS, HttpProvider


class OpenAI(HttpProvider):
    """A base URL that ends before `/chat/completions`, as the official clients take it."""

    kind = ProviderKind(
        name="openai",
        summary="OpenAI, or any server that speaks its dialect (vLLM, Ollama, llama.cpp) at `url`",
        default_url="https://api.openai.com/v1",
    )
    dialect = "openai_chat"
    health_path = "/models"

    def request_head(self, path: str) -> bytes:
        return super().request_head(path.removeprefix("/v1"))


KINDS.register("openai", OpenAI)
