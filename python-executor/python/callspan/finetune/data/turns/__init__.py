"""The kinds of turns: what somebody says with these tools, and what the model has to write then.

One request is `asked`, several are in `several`, none that a tool is for in `no_call`; what comes `after` an exchange
is in a module of that name. Each function draws one turn, or gives nothing where the tools have none of its kind.
"""
