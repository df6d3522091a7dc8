"""How well a model turns sentences into calls: cases in, rates with their uncertainty out.

Run as `python -m callspan.evaluate`. A case is a line of JSON (`cases`), or one of BFCL's (`bfcl`); a server of ours or
of anybody who speaks OpenAI's HTTP answers it (`servers`, `wire`, `chat`); `judge` says whether the answer is right, by
`match` where calls are due; `report`, `page` and `picture` show what came, and `compare` two reports side by side.
Nothing here reads a model's weights: what is measured is what a user of the server would get.
"""
