"""Tokens before a provider has counted them."""

BYTES_PER_TOKEN = 4  # of English text in the common vocabularies; other languages and code have fewer bytes to a token


def estimate_tokens(byte_count: int) -> int:
    """Estimate the tokens of `byte_count` bytes of text: a quarter, rounded up, and never less than 1."""
    return max(1, -(-byte_count // BYTES_PER_TOKEN))
