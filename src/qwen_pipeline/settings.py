"""Project settings: what Kedro reads first."""

from qwen_pipeline.config_loader import ProjectConfigLoader
from qwen_pipeline.datasets.catalog import ProjectCatalog
from qwen_pipeline.hooks import ProjectHooks

HOOKS = (ProjectHooks(),)
CONFIG_LOADER_CLASS = ProjectConfigLoader
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
DATA_CATALOG_CLASS = ProjectCatalog
