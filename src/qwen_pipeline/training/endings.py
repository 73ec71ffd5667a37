"""How a training ends before its last step, told with what to do next."""

from pathlib import Path

from qwen_pipeline.errors import OutOfMemoryError, TrainingDivergedError, TrainingInterruptedError
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.training.state import TrainingHistory


def diverged(history: TrainingHistory, parameters: TrainParameters) -> TrainingDivergedError:
    """No rollback is left, or none would help: before the first finite loss there is nothing to go back from.

    Args:
        history: Up to the step at which it diverged.
        parameters: Whose rate and clipping were too high.
    """
    if not history.has_learnt:
        return TrainingDivergedError(
            f"None of the first {history.step} steps has a finite loss, so the model itself is at fault, not the training: the "
            f"weights of model_name={parameters.model_name} are damaged, or too large for float16. Download them again, or "
            "take another model; with fp16=true set fp16=false and bf16=true."
        )
    return TrainingDivergedError(
        f"The training diverged at step {history.step} (loss {history.losses[-1]:.3g}) after "
        f"{history.rollbacks} rollbacks; lower learning_rate={parameters.learning_rate:g} or "
        f"max_grad_norm={parameters.max_grad_norm:g}, and look at the rows of the skipped steps."
    )


def interrupted(signal_name: str, step: int, steps: int, saved: Path) -> TrainingInterruptedError:
    """A signal came.

    Args:
        signal_name: As ``SIGINT``.
        step: The last that was taken.
        steps: Of the whole training.
        saved: The checkpoint of this step.
    """
    return TrainingInterruptedError(
        f"Stopped by {signal_name} after step {step} of {steps}; {saved.name} is saved. "
        "Run the same command again to go on from there."
    )


def out_of_memory(failure: OutOfMemoryError, step: int, steps: int, saved: Path) -> OutOfMemoryError:
    """Memory ran out for good.

    Args:
        failure: What did not fit.
        step: The last that was taken.
        steps: Of the whole training.
        saved: The checkpoint of this step.
    """
    return OutOfMemoryError(
        f"{failure} {saved.name} is saved, after step {step} of {steps}: run again with more memory (a higher "
        "max_memory_gb, other programs closed) to go on from there; a changed length or rank starts afresh."
    )
