"""What the studio can't do for those who ask, with the status that HTTP has for it."""

from gravurekit.errors import GravurekitError


class Refusal(GravurekitError):
    """A request that isn't served."""

    status = 400


class NotFound(Refusal):
    """There is no such thing."""

    status = 404


class Gone(Refusal):
    """It was there, and isn't kept any more."""

    status = 410


class Late(Refusal):
    """It takes too long to arrive."""

    status = 408


class TooLarge(Refusal):
    """More bytes, or more pixels, than are taken."""

    status = 413


class TooMany(Refusal):
    """So many wait already that one more would wait too long."""

    status = 503


class Lost(Refusal):
    """A task ended its process."""

    status = 500
