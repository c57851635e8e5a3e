"""The error of a picture that cannot be read."""


class DamagedPicture(Exception):
    """A picture that cannot be read: its name, and why."""

    # With a `__str__` of its own: tensorflow-datasets leaves such a message as it is.
    def __str__(self) -> str:
        return "the picture {} is damaged ({})".format(*self.args)
