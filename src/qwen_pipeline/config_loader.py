"""Configuration: layers of YAML and run-time values, parameters validated into stage groups.

Configuration comes in three layers: ``conf/base``, the one run environment (``conf/local`` unless
``--env`` names another), and the run-time values of ``--params``.
"""

from pathlib import Path
from typing import Any

import click
from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import OmegaConf
from yaml import YAMLError

from qwen_pipeline.errors import ParameterError
from qwen_pipeline.params.broken_files import explain_broken_file, explain_interpolation
from qwen_pipeline.params.merge import build_groups, flatten_layer, merge_layers

BROKEN = (YAMLError, ValueError, AttributeError, OSError)  # the last two where a file holds no names


class ProjectConfigLoader(OmegaConfigLoader):
    """Kedro's loader, with parameters flattened by layer and validated into stage groups.

    ``self["parameters"]`` is ``{stage: {name: value}}``. In the catalog ``${param:data_dir}`` is the
    value of that parameter after all layers are merged.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        """The configuration called ``key``; parameters come validated.

        Raises:
            ParameterError: A parameter is unknown, of the wrong type or out of its range, or a file is no YAML.
        """
        if key == "parameters":
            return self._groups()
        if key == "catalog":
            OmegaConf.register_new_resolver("param", self._parameter, replace=True)
        try:
            return super().__getitem__(key)
        except BROKEN as failure:
            for environment in self._environments_in_force():
                self._tell_broken_file(environment, failure)
            raise

    def _groups(self) -> dict[str, Any]:
        """The validated groups, built once for each set of run-time values."""
        asked = repr(self.runtime_params)
        built: dict[str, dict[str, Any]] = self.__dict__.setdefault("_groups_by_runtime", {})
        if asked not in built:
            built[asked] = build_groups(self._flat_parameters())
        return dict(built[asked])

    def _flat_parameters(self) -> dict[str, Any]:
        layers = [flatten_layer(self._layer(name), f"conf/{name}") for name in self._environments_in_force()]
        asked_in = "--params" if click.get_current_context(silent=True) else "runtime_params"
        layers.append(flatten_layer(self.runtime_params or {}, asked_in))
        return merge_layers(layers)

    def _layer(self, environment: str) -> dict[str, Any]:
        if not Path(self.conf_source, environment).is_dir():
            raise ParameterError(
                f"There is no configuration folder conf/{environment}; make it, or name another: "
                f"--env takes one of: {', '.join(self._environments())}."
            )
        loader = OmegaConfigLoader(
            self.conf_source,
            base_env=environment,
            default_run_env=environment,
            config_patterns=self.config_patterns,
        )
        # Resolvers belong to the process, and the loader made last answers them: with the values of all layers.
        loader["globals"] = self._globals
        loader._runtime_params_oc = OmegaConf.create(self.runtime_params or {})
        try:
            return dict(loader["parameters"])
        except MissingConfigException:
            return {}
        except BROKEN as failure:
            self._tell_broken_file(environment, failure)
            told = explain_interpolation(failure, f"conf/{environment}")
            if told is None:
                raise
            root = Path(self.conf_source).parent.as_posix()
            raise ParameterError(told.replace(f"{root}/", "")) from failure

    def _tell_broken_file(self, environment: str, failure: Exception) -> None:
        if told := explain_broken_file(Path(self.conf_source, environment)):
            raise ParameterError(told) from failure

    def _environments_in_force(self) -> list[str]:
        return list(dict.fromkeys([self.base_env, self.env or self.default_run_env]))

    def _environments(self) -> list[str]:
        folders = (path for path in Path(self.conf_source).iterdir() if path.is_dir())
        return sorted(path.name for path in folders if path.name != self.base_env)

    def _parameter(self, name: str) -> Any:
        for group in self["parameters"].values():
            if name in group:
                return group[name]
        raise ParameterError(f"The catalog asks for a parameter {name} that no stage has.")
