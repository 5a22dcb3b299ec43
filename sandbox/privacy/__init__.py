"""Privacy: from a relation to a plan of releases whose guarantee can be read and checked.

It derives privacy units and contribution bounds, splits the budget, calibrates the noise, predicts
the error, and prices the whole before anything is spent.  Costs are exact numbers, never floats.

May import: ``sandbox.policy``, ``sandbox.sql`` and below.  Pure, except that ``mechanisms.py`` draws
noise through OpenDP.

Start reading at ``plan.py``, then ``accounting.py`` and ``mechanisms.py``.
"""
