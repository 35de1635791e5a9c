"""What runs today as values: the deploy tool's config and hand-written StormServices, their facts, their differences.

Pure; actions/importing.py joins it with the compiler.
"""
