"""What runs today becomes the fields of a spec: the deploy tool's config, and StormServices written by hand.

Pure functions of values; actions/importing.py joins them with the compiler.
"""
