"""The engines: who is there, who is faulty, who gets the next request."""
