"""One module per verb: parse arguments, call one function, print, return the exit code."""
