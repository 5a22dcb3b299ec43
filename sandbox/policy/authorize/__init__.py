"""Authorization: does the catalogue of a grant allow what this relation does with each column?

Pure: ``Relation`` x ``Catalogue`` -> allowed (no reasons) or refused (every reason at once).

Start reading at ``nodes.py``; ``views.py`` says how expressions are traced to stored columns.
"""

from sandbox.policy.authorize.nodes import authorize

__all__ = ["authorize"]
