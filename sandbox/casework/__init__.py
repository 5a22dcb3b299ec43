"""What people decide together, and what follows from it: cases, products, the public register.

``desk`` takes a case from step to step; ``documents`` says which documents are in force; ``products``
delivers; ``register`` is made from the audit log alone.  May import all below the gateway.  Start reading at
``desk``.
"""
