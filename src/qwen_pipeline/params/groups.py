"""The six parameter groups, by the name of the stage that reads them."""

from collections.abc import Mapping
from types import MappingProxyType

from qwen_pipeline.params.clean import CleanParameters
from qwen_pipeline.params.evaluate import EvaluateParameters
from qwen_pipeline.params.export import ExportParameters
from qwen_pipeline.params.fields import StageParameters
from qwen_pipeline.params.ingest import IngestParameters
from qwen_pipeline.params.tokenize import TokenizeParameters
from qwen_pipeline.params.train import TrainParameters

GROUPS: Mapping[str, type[StageParameters]] = MappingProxyType(
    {
        "ingest": IngestParameters,
        "clean": CleanParameters,
        "tokenize": TokenizeParameters,
        "train": TrainParameters,
        "evaluate": EvaluateParameters,
        "export": ExportParameters,
    }
)


def groups_with(name: str) -> tuple[str, ...]:
    """Names of the groups that have a field called ``name``, in the order of the stages."""
    return tuple(group for group, cls in GROUPS.items() if name in cls.model_fields)


def parameter_names() -> tuple[str, ...]:
    """Every parameter's flat name, once, in the order of the stages."""
    return tuple(dict.fromkeys(name for cls in GROUPS.values() for name in cls.model_fields))
