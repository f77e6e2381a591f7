"""The one way in which a build ends without a layer."""


class Refusal(Exception):
    """Why there is no layer: a clause without a full stop. `sentence` is what a person is told."""

    @property
    def sentence(self) -> str:
        """The reason and both ways out, as one plain sentence."""
        return (
            f"The PDF layer cannot be built here: {self}; build it in the Amazon Linux container instead"
            " (docs/layer.md, container route) or pass a finished one as WeasyPrintLayerArn."
        )
