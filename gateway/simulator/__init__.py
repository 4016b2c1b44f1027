"""The scripted provider's server: a request becomes a script of exact bytes and pauses, and the script is played.

May import `providers.simulator_behaviour` (the language of model names) and `core`. What is said (`answer.py`) and how a dialect puts it
(a face: `chat.py`, `messages.py`, `responses.py`, `completions.py` and the small ones of `documents.py`) are apart, so every
behaviour is the same in each. Read `script.py` first, then `face.py`; `ask.py` is what a face reads of a request,
`heads.py` and `framing.py` are HTTP, `server.py` plays, and `gateway/runtime/simulator_server.py` is the process.
"""
