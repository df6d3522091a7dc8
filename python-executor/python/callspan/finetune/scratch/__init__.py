"""Training a small function-calling model from nothing, fast on a CPU. Run as `python -m callspan.finetune.scratch`."""
