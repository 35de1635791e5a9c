"""One spec, stage by stage: from checked fields to a Compilation. All that goes in are values: no disk, no clock."""
