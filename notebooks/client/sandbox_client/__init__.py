"""The client of Data Sandbox (数据沙箱): ask under a grant, get answers with their intervals.

Start with ``connect``; in a notebook, ``%load_ext sandbox_client`` and cells that begin with ``%%sql``.
It imports nothing of the gateway, speaks its ``/v1`` alone, and keeps nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox_client.answer import Answer, Column, Explained, Price
from sandbox_client.client import Client, connect
from sandbox_client.dbapi import Connection, Cursor, apilevel, paramstyle, threadsafety
from sandbox_client.refusals import Error, Lost, Reason, Refusal
from sandbox_client.words import Lang, Words

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = [
    "Answer",
    "Client",
    "Column",
    "Connection",
    "Cursor",
    "Error",
    "Explained",
    "Lang",
    "Lost",
    "Price",
    "Reason",
    "Refusal",
    "Words",
    "apilevel",
    "connect",
    "load_ipython_extension",
    "paramstyle",
    "threadsafety",
]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """``%load_ext sandbox_client``: the cell magic ``%%sql`` and completion of granted columns."""
    from sandbox_client.magic import install

    install(shell)
