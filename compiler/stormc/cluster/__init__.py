"""What stormc does on a running cluster; the only room that knows the kubernetes client, an optional extra."""
