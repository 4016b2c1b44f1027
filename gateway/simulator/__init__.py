"""The simulator: a scripted provider that plays a request back as exact bytes, pauses and faults.

May import `providers.simulator` (the language of model names) and `core`. The model's output (`model_output.py`) and its
encoding in an API's format (one `ApiHandler` for each endpoint: `chat.py`, `messages.py`, `responses.py`, `completions.py`,
`small_endpoints.py`, …) are separate, so every behaviour works the same in each format. Read `script.py` first, then
`handler.py`. `request.py` holds the facts that a handler reads from a request, `headers.py` and `framing.py` are HTTP,
`player.py` writes to the socket, `server.py` routes, and `gateway/runtime/simulator_process.py` is the process.
"""
