"""The rules: each maps the gradients at w to a perturbation e(w)."""

from keras_zsharp.rules.asam import ASAM
from keras_zsharp.rules.awp import AWP
from keras_zsharp.rules.base import Rule
from keras_zsharp.rules.fisher_sam import FisherSAM
from keras_zsharp.rules.friendly_sam import AdaptiveFriendlySAM, FriendlySAM
from keras_zsharp.rules.gsam import GSAM
from keras_zsharp.rules.le_sam import LESAM
from keras_zsharp.rules.look_sam import LookSAM
from keras_zsharp.rules.msam import MSAM
from keras_zsharp.rules.random_sam import RandomSAM
from keras_zsharp.rules.registry import RULES as RULES
from keras_zsharp.rules.registry import get as get
from keras_zsharp.rules.sam import SAM
from keras_zsharp.rules.saner import SANER
from keras_zsharp.rules.ssam import SSAM
from keras_zsharp.rules.wsam import WSAM
from keras_zsharp.rules.zsharp import ZSharp

__all__ = [
    "ASAM",
    "AWP",
    "GSAM",
    "LESAM",
    "MSAM",
    "SAM",
    "SANER",
    "SSAM",
    "WSAM",
    "AdaptiveFriendlySAM",
    "FisherSAM",
    "FriendlySAM",
    "LookSAM",
    "RandomSAM",
    "Rule",
    "ZSharp",
]
