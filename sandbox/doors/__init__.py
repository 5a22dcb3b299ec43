"""Doors: the command line, HTTP, and later notebooks.

A door translates what it hears into a ``Request`` and what comes back into its own words.  It holds
no rules: the same request gets the same answer, or the same refusal code, at every door.

May import: everything below it.  Nothing may import a door.

Start reading at ``cli.py``, then ``http.py``.
"""
