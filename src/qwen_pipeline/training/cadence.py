"""After which steps a training validates and saves."""

from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.training.order import StepOrder


class Cadence:
    """``eval_strategy`` and ``save_strategy`` over the steps of one training."""

    def __init__(self, parameters: TrainParameters, order: StepOrder, has_validation: bool) -> None:
        """Take ``eval_*`` and ``save_*``, where epochs end, and whether there are validation rows."""
        self._parameters, self._order, self._has_validation = parameters, order, has_validation

    def validates(self, step: int) -> bool:
        """Whether validation rows are measured after ``step``; always after the last, unless never or where there is none."""
        if not self._has_validation:
            return False
        if self._parameters.eval_strategy == "steps":
            return step % self._parameters.eval_steps == 0 or step == self._order.steps
        return self._parameters.eval_strategy == "epoch" and self._order.ends_epoch(step)

    def saves(self, step: int, is_best: bool) -> bool:
        """Whether a checkpoint is written after ``step``; with ``steps`` and ``epoch`` also after the last.

        Args:
            step: Counted from 1.
            is_best: Validation has just found the lowest loss so far.
        """
        if self._parameters.save_strategy == "steps":
            return step % self._parameters.save_steps == 0 or step == self._order.steps
        if self._parameters.save_strategy == "best":
            return is_best
        return self._parameters.save_strategy == "epoch" and self._order.ends_epoch(step)

    def most_saves(self, done: int) -> int:
        """Checkpoints that the steps after ``done`` write, if every validation is the best so far."""
        return sum(
            self.saves(step, is_best=self.validates(step)) for step in range(done + 1, self._order.steps + 1)
        )
