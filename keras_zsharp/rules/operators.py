"""The mathematics that the rules share: pure functions of lists of tensors.

A list stands for one long vector, which is cut into the trainable variables' shapes. An entry is
None where the loss does not depend on the variable. The result has None there, and norms skip it.
"""

from __future__ import annotations

from typing import Any

from keras import backend, ops

from keras_zsharp.ops import each, of_dtype
from keras_zsharp.rules.variables import is_bias
from keras_zsharp.typing import FloatTensor, Gradients, Tensor, Variables

DELTA = 1e-8
"""The papers' constant for numerical stability."""


def widened(tensor: Tensor) -> Tensor:
    """The tensor in float32 or wider: squares of float16 gradients overflow and underflow."""
    tensor = ops.convert_to_tensor(tensor)
    half = backend.standardize_dtype(tensor.dtype) in ("float16", "bfloat16")
    return ops.cast(tensor, "float32") if half else tensor


def dot(tensors: Gradients, others: Gradients) -> Tensor:
    """`t · o` over all tensors together: a float32 (or wider) scalar."""
    wide = each(widened, tensors)
    pairs = zip(wide, wide if others is tensors else each(widened, others), strict=True)
    products = [ops.sum(t * o) for t, o in pairs if t is not None]
    if not products:
        return ops.zeros((), "float32")
    dtypes = {p.dtype for p in products}
    dtype = backend.result_type("float32", *dtypes)
    if {backend.standardize_dtype(d) for d in dtypes} != {dtype}:
        products = [ops.cast(p, dtype) for p in products]
    return sum(products)


def global_norm(tensors: Gradients) -> Tensor:
    """`‖t‖₂` over all tensors together: a float32 (or wider) scalar.

    Squares overflow from about 1.8e19 on. The norm is infinite then, and `to_radius` returns 0.
    """
    return ops.sqrt(dot(tensors, tensors))


def scale(tensor: Tensor, factor: FloatTensor) -> Tensor:
    """`factor * tensor` in `tensor`'s dtype."""
    return tensor * of_dtype(factor, tensor.dtype)


def projection(tensors: Gradients, others: Gradients) -> list[Tensor | None]:
    """`(t · u) u` with `u = o / ‖o‖₂`: the component of `tensors` along `others`; 0 for `o = 0`."""
    inverse = ops.divide_no_nan(1.0, global_norm(others))
    units = each(lambda o: scale(o, inverse), others)
    along = dot(tensors, units)
    return each(lambda t, u: scale(u, along), tensors, units)


def radius_factor(rho: FloatTensor, norm: Tensor) -> Tensor:
    """`rho / (norm + delta)`, which scales a vector of that norm to length rho."""
    return ops.cast(rho, norm.dtype) / (norm + DELTA)


def to_radius(tensors: Gradients, rho: FloatTensor) -> list[Tensor | None]:
    """`rho t / (‖t‖₂ + delta)`."""
    factor = radius_factor(rho, global_norm(tensors))
    return each(lambda t: scale(t, factor), tensors)


def adaptive_operator(variable: Any, eta: float, dtype: str) -> Tensor:
    """ASAM's `T_w = |w| + eta`, and 1 for biases."""
    if is_bias(variable):
        return ops.ones((), dtype)
    return ops.abs(ops.cast(variable, dtype)) + eta


def to_adaptive_radius(
    tensors: Gradients, variables: Variables, rho: FloatTensor, eta: float
) -> list[Tensor | None]:
    """`e = rho T² t / (‖T t‖₂ + delta)`, for which `‖T⁻¹ e‖₂` is rho."""
    operators = each(lambda t, v: adaptive_operator(v, eta, t.dtype), tensors, variables)
    scaled = to_radius(each(ops.multiply, tensors, operators), rho)
    return each(ops.multiply, scaled, operators)
