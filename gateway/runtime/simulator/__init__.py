"""The scripted provider's server: a request becomes a script of exact bytes and pauses, and the script is played.

May import `providers.simulator` (the language of model names) and `core`. Read `script.py` first; `ask.py` reads a request,
`answer.py` writes what a provider would say, `server.py` plays, and `gateway/runtime/simulator_server.py` is the process.
"""
