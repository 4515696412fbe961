"""One file per method, named as the paper names it. This is the catalogue: {name: class}."""

from ponder.strategies.ab_mcts import ABMCTS
from ponder.strategies.adaptive_consistency import AdaptiveConsistency
from ponder.strategies.auto import Auto
from ponder.strategies.beam_search import BeamSearch
from ponder.strategies.best_of_n import BestOfN
from ponder.strategies.budget_forcing import BudgetForcing
from ponder.strategies.cascade import Cascade
from ponder.strategies.catalogue import ALIASES, CATALOGUE, method, parameters, parse, spell
from ponder.strategies.chain_of_draft import ChainOfDraft
from ponder.strategies.chain_of_thought import ChainOfThought
from ponder.strategies.coat import CoAT
from ponder.strategies.conditional_control import ConditionalControl
from ponder.strategies.deepconf import DeepConf
from ponder.strategies.direct import Direct
from ponder.strategies.dvts import DVTS
from ponder.strategies.early_exit import EarlyExit
from ponder.strategies.early_stopping import EarlyStopping
from ponder.strategies.feedback_edit import FeedbackEdit
from ponder.strategies.lookahead import Lookahead
from ponder.strategies.mcts import MCTS
from ponder.strategies.mixture_of_agents import MixtureOfAgents
from ponder.strategies.particle_filtering import ParticleFiltering
from ponder.strategies.particle_gibbs import ParticleGibbs
from ponder.strategies.plan_search import PlanSearch
from ponder.strategies.rebase import Rebase
from ponder.strategies.rejection_sampling import RejectionSampling
from ponder.strategies.revisions import Revisions
from ponder.strategies.rstar import RStar
from ponder.strategies.s_star import SStar
from ponder.strategies.self_backtracking import SelfBacktracking
from ponder.strategies.self_consistency import SelfConsistency
from ponder.strategies.self_refine import SelfRefine
from ponder.strategies.tip import TIP
from ponder.strategies.tpo import TPO
from ponder.strategies.tree_of_thoughts import TreeOfThoughts
from ponder.strategies.zero_shot_cot import ZeroShotCoT

__all__ = [
    "ABMCTS",
    "ALIASES",
    "CATALOGUE",
    "DVTS",
    "MCTS",
    "TIP",
    "TPO",
    "AdaptiveConsistency",
    "Auto",
    "BeamSearch",
    "BestOfN",
    "BudgetForcing",
    "Cascade",
    "ChainOfDraft",
    "ChainOfThought",
    "CoAT",
    "ConditionalControl",
    "DeepConf",
    "Direct",
    "EarlyExit",
    "EarlyStopping",
    "FeedbackEdit",
    "Lookahead",
    "MixtureOfAgents",
    "ParticleFiltering",
    "ParticleGibbs",
    "PlanSearch",
    "RStar",
    "Rebase",
    "RejectionSampling",
    "Revisions",
    "SStar",
    "SelfBacktracking",
    "SelfConsistency",
    "SelfRefine",
    "TreeOfThoughts",
    "ZeroShotCoT",
    "method",
    "parameters",
    "parse",
    "spell",
]
