"""What an engine that syncs `rendered/` needs to be told: where it is, what healthy means, what not to delete."""
