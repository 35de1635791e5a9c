"""What a platform team allows: policies in platform files, judged on finished manifests."""
