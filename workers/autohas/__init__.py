"""AutoHAS (arXiv 2006.03656): distributions over architecture and hyperparameters, learnt by looking one step ahead."""

from workers.autohas.controllers import Differentiable, Learner, Reinforce, Report
from workers.autohas.distributions import Distributions, Draw
from workers.autohas.trainer import SupernetLearner

__all__ = ["Differentiable", "Distributions", "Draw", "Learner", "Reinforce", "Report", "SupernetLearner"]
