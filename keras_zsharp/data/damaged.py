"""What reading pictures may fail with."""


class DamagedPicture(Exception):
    """A picture that cannot be read: its name, and why."""

    # Of its own, so that tensorflow-datasets leaves the message as it is.
    def __str__(self):
        return "the picture {} is damaged ({})".format(*self.args)
