"""AutoHAS (arXiv 2006.03656): distributions over architecture and hyperparameters, learnt by looking one step ahead."""

from workers.autohas.controllers import Differentiable, LookAheadModel, Reinforce, StepReport
from workers.autohas.distributions import Draw, ParameterDistributions
from workers.autohas.trainer import SupernetTrainer

__all__ = [
    "Differentiable",
    "Draw",
    "LookAheadModel",
    "ParameterDistributions",
    "Reinforce",
    "StepReport",
    "SupernetTrainer",
]
