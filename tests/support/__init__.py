"""What tests share: processes that never leak, a raw HTTP client, an SSE reader of its own, a clock that is turned by hand."""
