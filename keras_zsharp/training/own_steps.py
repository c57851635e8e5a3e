"""A model class may have a `train_step` of its own only if it comes to the two-pass step."""

import contextlib
import functools

import keras


def check_bases(cls, mixin):
    """The mixin must stand before `keras.Model`, and before nothing whose step it would hide."""
    bases = cls.__mro__
    after = bases[bases.index(mixin) :]
    if keras.Model in bases and keras.Model not in after:
        raise TypeError(
            f"`{mixin.__name__}` must come before `keras.Model` in the bases of `{cls.__name__}`: "
            f"class {cls.__name__}({mixin.__name__}, keras.Model)"
        )
    hidden = [
        base.__name__
        for base in after
        if "train_step" in vars(base) and not base.__module__.startswith(("keras.", __package__))
    ]
    if hidden:
        raise TypeError(
            f"`{cls.__name__}` must not hide the `train_step` of `{hidden[0]}`, which would not be "
            f"called. Override `compute_loss` in `{hidden[0]}` instead, with the loss that its "
            f"step computes, and `compute_metrics`. Received: bases {hidden}"
        )


def must_come_to_ours(cls, train_step):
    """The own step of `cls`, which raises an error where it trains without the two-pass step."""

    @functools.wraps(train_step)
    def checked(self, *args, **kwargs):
        self.__dict__["_came_to_ours"] = False
        logs = train_step(self, *args, **kwargs)
        if not self.__dict__["_came_to_ours"]:
            raise TypeError(
                f"`{cls.__name__}.train_step` must call `super().train_step(data)`, which takes "
                "the two-pass step: without it the model trains as if it were not sharpness-aware. "
                "A loss of your own belongs into `compute_loss`."
            )
        return logs

    return checked


def must_train_by_ours(name, method):
    """A `fit` or the like of a class of its own, which raises an error where it does not."""

    @functools.wraps(method)
    def checked(self, *args, **kwargs):
        with by_our_step(self, name):
            return method(self, *args, **kwargs)

    return checked


@contextlib.contextmanager
def by_our_step(model, name):
    """Around what trains a model: if the optimizer moves, our step must have been there."""
    note_iterations(model)
    yield
    moved = _iterations(model) != model.__dict__["_noted_iterations"]
    if moved and not model.__dict__.get("_came_to_ours"):
        raise TypeError(
            f"`{type(model).__name__}.{name}` must train by `train_step`, which takes the two-pass "
            "step: it has trained as if the model were not sharpness-aware. Call "
            f"`super().{name}(...)`. A loss of your own belongs into `compute_loss`."
        )


def note_iterations(model):
    """Where the optimizer is, before what trains a model and after what loads it."""
    model.__dict__["_noted_iterations"] = _iterations(model)


def _iterations(model):
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not optimizer.built:
        return 0
    return int(keras.ops.convert_to_numpy(optimizer.iterations))


def came_to_ours(model):
    """To be called by the two-pass step."""
    model.__dict__["_came_to_ours"] = True
