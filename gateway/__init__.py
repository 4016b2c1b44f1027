"""An LLM gateway: an asyncio reverse proxy configured by one hot-reloaded `gateway.yaml`.

Read in this order: `pipeline.py` (the line a request takes), `dispatch.py` (attempts),
`snapshot.py` (all wiring), `core/` (the data), then the room you want to change.
"""

__version__ = "0.1.0"
