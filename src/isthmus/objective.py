"""Objectives: how the loss, the code's cost and the penalties add up to what is minimised.

An objective is `forward(step) -> {name: term}`; a term is one number a sample, (batch,), or one of the whole batch, ().
"""

from .parts.base import Part, Step


class Sum(Part):
    """Everything, added: the loss, what the code costs, and each penalty with its own weight.

    objective = E[ loss(x, decode(encode(x))) + cost ] + sum of penalties
    """

    def forward(self, step: Step) -> dict:
        terms = {"loss": step.loss}
        if step.code.cost is not None:
            terms["cost"] = step.code.cost
        for name, penalty in step.network.penalties.items():
            terms[name] = penalty(step)
        return terms


OBJECTIVES = {"sum": Sum}
