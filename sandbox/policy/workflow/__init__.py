"""Who may move a case, and when: rules about states (``states``) and about persons (``persons``), apart.

A case is a document on its way into force, or an incident on its way to its end.  Every rule comes as a
pair: ``check_x`` refuses with a sentence, ``can_x`` says yes or no.  Pure; imports ``sandbox.errors``,
``sandbox.model`` and the table of roles alone.  Start reading at ``states.TABLE``.
"""
