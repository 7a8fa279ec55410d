"""One module a verb: its help (the docstring), `add_arguments` and `run`.

Heavy imports stand inside `run`, so that `biobert --help` answers at once.
"""
