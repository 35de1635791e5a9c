"""The StormService around the pods: what AIBrix's controllers do with it, or silently do not."""
