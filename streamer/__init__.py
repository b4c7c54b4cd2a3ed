"""Asyncio pipelines: I/O and time around the engines."""
