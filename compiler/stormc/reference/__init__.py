"""What every id means that stormc can report: for `stormc rule`, SARIF and docs/rules.md."""
