"""One base class, one subclass a cause.

A user's mistake ends in exactly one of these: a message of what, where, limit and remedy, in one
sentence or two, without a traceback. A traceback is for a defect of this project.
"""


class PipelineError(Exception):
    """A failure that the message explains and whose remedy it names."""


class ParameterError(PipelineError):
    """A parameter is misspelt, of the wrong type, or out of its range."""


class DataError(PipelineError):
    """A data directory or file is missing, empty or unusable."""


class NoExamplesError(DataError):
    """A stage ended with nothing to go on with."""


class WorkerError(PipelineError):
    """A process that shared a stage's work ended before it was done."""


class ModelSourceError(PipelineError):
    """A base model cannot be found, reached or read."""


class UnsupportedModelError(PipelineError):
    """A model's architecture is not one that this project trains."""


class QuantizationError(PipelineError):
    """Loading in 4 bits is not possible on this machine."""


class MemoryPlanError(PipelineError):
    """No setting fits into the memory that the user allows."""


class OutOfMemoryError(PipelineError):
    """Memory ran out, and splitting the work further could not help."""


class DiskSpaceError(PipelineError):
    """There is not enough free space for what is to be written."""


class CheckpointError(PipelineError):
    """A checkpoint cannot be written or read."""


class TrainingDivergedError(PipelineError):
    """Training diverged, and rolling back did not help."""


class RunInterruptedError(PipelineError):
    """A run was asked to stop; what it had finished is kept."""


class TrainingInterruptedError(PipelineError):
    """Training was asked to stop; a checkpoint was saved."""


class TrackingError(PipelineError):
    """The tracking store cannot be used."""


class EvaluationError(PipelineError):
    """An evaluation cannot be made from what it was given."""


class ExportError(PipelineError):
    """A model cannot be exported."""


class ExportGateError(ExportError):
    """An export does not answer like the adapter it was made from."""


class VersionError(PipelineError):
    """A version of a dataset is missing, damaged or cannot be written."""


class ProjectLockedError(PipelineError):
    """Another run works in this project."""


class EnvironmentProblemError(PipelineError):
    """The machine or the installation lacks what a run needs."""


class LongRunRefusedError(PipelineError):
    """A long stage would run again, and nobody confirmed it."""


class AcceptRefusedError(PipelineError):
    """Outputs cannot be kept: more than code changed since they were made."""
