"""The monitor: rules over the audit log that raise alerts, which are entries of the log themselves.

May import store and model.  Start at ``catalogue`` (the rules, with what to do), then ``refusals``,
``probing`` and ``pace`` (pure functions over entries), ``run`` (from the log to alerts) and ``watch`` (the
gateway's background).  docs/monitor.md says how well they find the attack corpus.
"""
