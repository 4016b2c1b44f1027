"""Shared test support: processes that never leak, a raw HTTP client, an independent SSE reader, a clock set by hand."""
