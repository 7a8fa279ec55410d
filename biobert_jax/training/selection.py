"""The best of a run's evaluations, and when to stop waiting for a better one."""

import math
from collections.abc import Iterable, Mapping

from biobert_jax.errors import UserError

# Errors and losses; of every other score more is better.
_LESS_IS_BETTER = ("rmse", "loss")


class Selection:
    """Follows one score over a run's evaluations.

    A function of the evaluations alone, so that a run that goes on chooses as one that never
    stopped. The state before the first update is not chosen.

    Attributes:
      score: the name, as evaluations have it.
      best_step: that with the best value, the first of equals; None before there is one.
      best_value: of that step.
      is_over: `patience` evaluations in a row were no better; never with patience 0.
    """

    def __init__(
        self,
        score: str,
        patience: int = 0,
        history: Iterable[tuple[int, Mapping[str, float]]] = (),
    ):
        """Begins with the evaluations of `history`, (step, scores) each, oldest first."""
        self.score, self._patience = score, patience
        self._sign = -1 if score.endswith(_LESS_IS_BETTER) else 1
        self.best_step: int | None = None
        self.best_value = math.nan
        self._waited = 0
        for step, evaluation in history:
            self.look(step, evaluation)

    @property
    def is_over(self) -> bool:
        """See the class."""
        return 0 < self._patience <= self._waited

    def summary(self) -> str:
        """What was chosen, in a line."""
        name = self.score.removeprefix("eval_")
        if self.best_step is None:
            return f"no evaluation has a {name}: the last step is taken"
        ended = f", none better in {self._waited} evaluations: stopped" if self.is_over else ""
        return f"best {name} {self.best_value:.4f} at step {self.best_step}{ended}"

    def look(self, step: int, evaluation: Mapping[str, float | None]) -> bool:
        """Takes the next evaluation in; True where it is the best so far.

        Raises:
          UserError: it has no such score.
        """
        if self.score not in evaluation:
            names = [name for name in evaluation if name.startswith("eval_")] or evaluation
            known = [name.removeprefix("eval_") for name in names]
            raise UserError(
                f"train.best_by is {self.score.removeprefix('eval_')!r}: an evaluation has "
                f"{', '.join(known)}"
            )
        if step == 0:
            return False
        value = evaluation[self.score]
        finite = value is not None and math.isfinite(value)
        if finite and not self._sign * value <= self._sign * self.best_value:
            self.best_step, self.best_value, self._waited = step, value, 0
            return True
        self._waited += 1
        return False
