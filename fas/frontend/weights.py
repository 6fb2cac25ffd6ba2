"""Weights of an encoder that is only evaluated: what training recomputes in every call is computed once."""

from torch import nn
from torch.nn.utils import parametrize, remove_weight_norm

from fas import threads


@threads.one()
def fold(model: nn.Module) -> nn.Module:
    """Put weights in the place of their norm and direction (wav2vec 2.0's positional convolution), in place.

    The norm is a sum whose order, and so whose last bits, follow the number of threads.
    """
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
        elif hasattr(module, "weight_g"):  # weight_norm of torch before 2.0, as fairseq's and s3prl's encoders have it
            remove_weight_norm(module)
    return model
