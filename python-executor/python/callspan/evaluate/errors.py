"""What ends an evaluation, and what to do about it."""


class Trouble(Exception):  # noqa: N818  (as it is told: one line what, one line how to fix it)
    """The run cannot go on: what is wrong, and how to cure it."""

    def __init__(self, what: str, cure: str = "") -> None:
        """Take one line each."""
        super().__init__(what)
        self.what, self.cure = what, cure

    def __str__(self) -> str:
        """Both lines, as a person reads them."""
        return f"error: {self.what}" + (f"\n  fix: {self.cure}" if self.cure else "")
