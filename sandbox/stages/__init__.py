"""The stages of the pipeline that touch the world: preparing, running and recording a query.

May import everything below the pipeline.  Start at ``prepare`` (the pure stages, remembered), then ``begin``
(intent and reservation), ``run`` (execute, protect, release) and ``record`` (the audit log).
"""

from sandbox.stages import record
from sandbox.stages.begin import begin
from sandbox.stages.clock import Clock
from sandbox.stages.prepare import Prepared, prepare
from sandbox.stages.run import run
from sandbox.stages.view import priced_view

__all__ = ["Clock", "Prepared", "begin", "prepare", "priced_view", "record", "run"]
