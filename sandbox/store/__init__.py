"""Stores: the ledger, the kept answers, the audit log and the accounts.

A budget is spent by one conditional update before raw data is touched, and never refunded once it
was.  Every exit of the pipeline leaves an entry in the log.

May import: ``sandbox.privacy`` and below, SQLAlchemy Core; not ``sandbox.engine``, not
``sandbox.snapshot``.

Start reading at ``ledger.py``.
"""
