"""Writes the schemas: `python -m tools.schemas`."""

from tools.schemas import HERE, generated

for name, text in generated().items():
    (HERE / name).write_text(text, encoding="utf-8")
