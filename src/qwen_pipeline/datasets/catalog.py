"""The catalog of this project: Kedro's own, quick to open."""

from typing import Any

from kedro.framework.context import CatalogCommandsMixin
from kedro.io import AbstractDataset, DataCatalog, MemoryDataset


class ProjectCatalog(DataCatalog, CatalogCommandsMixin):
    """Kedro's catalog, which does not import pandas to find out how to copy a parameter.

    Source: ``MemoryDataset._infer_copy_mode`` of Kedro 1.7 imports pandas (half a second) for every kind
    of value; with the mode given it does not. Can go when Kedro looks at ``sys.modules`` instead.
    """

    def __setitem__(self, key: str, value: Any) -> None:
        """Add a dataset, or a parameter's value."""
        if not isinstance(value, AbstractDataset) and (key == "parameters" or key.startswith("params:")):
            value = MemoryDataset(value, copy_mode="deepcopy")
        super().__setitem__(key, value)
