"""Conversations with tools: made from families of tools, read and written in the shapes that others use."""
