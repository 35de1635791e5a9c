"""The Git repository around a specs directory. The only room that knows of Git."""
