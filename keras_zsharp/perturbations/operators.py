"""The mathematics that the rules share: pure functions of lists of tensors.

A list stands for one long vector, cut into the trainable variables' shapes. Where an entry is
None (a variable that the loss does not depend on) the result has None, and norms pass over it.
"""

from keras import backend, ops

from keras_zsharp.perturbations.variables import is_bias

DELTA = 1e-8
"""The papers' constant for numerical stability."""


def each(function, tensors, *others):
    """`function` of each tensor (and its counterparts in `others`), None for None."""
    return [
        None if tensor is None else function(tensor, *rest)
        for tensor, *rest in zip(tensors, *others, strict=True)
    ]


def widened(tensor):
    """At least float32: squares of float16 gradients overflow and underflow."""
    tensor = ops.convert_to_tensor(tensor)
    half = backend.standardize_dtype(tensor.dtype) in ("float16", "bfloat16")
    return ops.cast(tensor, "float32") if half else tensor


def dot(tensors, others):
    """`t · o` over all tensors together: a float32 (or wider) scalar."""
    products = [
        ops.sum(widened(t) * widened(o))
        for t, o in zip(tensors, others, strict=True)
        if t is not None
    ]
    if not products:
        return ops.zeros((), "float32")
    dtype = backend.result_type("float32", *(p.dtype for p in products))
    return sum(ops.cast(p, dtype) for p in products)


def global_norm(tensors):
    """`‖t‖₂` over all tensors together: a float32 (or wider) scalar.

    Infinite from about 1.8e19 on, where squares overflow; what is scaled by it is 0 then.
    """
    return ops.sqrt(dot(tensors, tensors))


def scale(tensor, factor):
    """`factor * tensor` in `tensor`'s dtype."""
    return tensor * ops.cast(factor, tensor.dtype)


def projection(tensors, others):
    """`(t · u) u` with `u = o / ‖o‖₂`: what `tensors` have along `others`, 0 where those are."""
    inverse = ops.divide_no_nan(1.0, global_norm(others))
    units = each(lambda o: scale(o, inverse), others)
    along = dot(tensors, units)
    return each(lambda t, u: scale(u, along), tensors, units)


def radius_factor(rho, norm):
    """`rho / (norm + delta)`: what brings a vector of that norm to length rho."""
    return ops.cast(rho, norm.dtype) / (norm + DELTA)


def to_radius(tensors, rho):
    """`rho t / (‖t‖₂ + delta)`."""
    factor = radius_factor(rho, global_norm(tensors))
    return each(lambda t: scale(t, factor), tensors)


def adaptive_operator(variable, eta, dtype):
    """ASAM's `T_w = |w| + eta`, and 1 for biases."""
    if is_bias(variable):
        return ops.ones((), dtype)
    return ops.abs(ops.cast(variable, dtype)) + eta


def to_adaptive_radius(tensors, variables, rho, eta):
    """`rho T² t / (‖T t‖₂ + delta)`, whose length measured as `‖T⁻¹ e‖₂` is rho."""
    operators = each(lambda t, v: adaptive_operator(v, eta, t.dtype), tensors, variables)
    scaled = to_radius(each(ops.multiply, tensors, operators), rho)
    return each(ops.multiply, scaled, operators)
