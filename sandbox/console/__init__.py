"""The console: what people see of the gateway in a browser, in Chinese or English.

Pages are rendered here, whole; scripts only make them quicker to use.  Like a door it holds no rules: it
asks the gateway, in the name of whoever is signed in, and shows what comes back, refusals included.

May import: everything below it, and the doors beside it.  Start reading at ``app.py``.
"""
