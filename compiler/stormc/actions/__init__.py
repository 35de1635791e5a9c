"""One function per verb: values in, values out."""
