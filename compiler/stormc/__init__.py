"""stormc compiles compact app specs into StormService manifests for Ascend NPUs."""

__version__ = "0.2.0"
