"""An LLM gateway: an asyncio reverse proxy configured by one hot-reloaded `gateway.yaml`.

Read in this order: `pipeline.py` (the line a request takes), `dispatch.py` and `search.py` (who is asked), `attempt.py`
(until one answers), `snapshot.py` (all wiring), `core/` (the data), then the room you want to change.
"""

__version__ = "0.1.0"
