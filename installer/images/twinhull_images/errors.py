"""Why an image could not be built, in one sentence each.

The builder runs before any library is installed, so these classes keep the shape of
``twinhull_policy.errors.TwinhullError`` (docstring sentence, ``code``, ``blame``, ``next_step``) without
importing it.
"""

from __future__ import annotations

from typing import ClassVar


class ImageBuildError(Exception):
    """The images could not be built: {detail}."""

    code: ClassVar[str] = "TH-IMG-100"
    blame: ClassVar[int] = 1
    next_step: ClassVar[str] = "Read the build log named above, then run the command again."

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        template = (type(self).__doc__ or "").strip().splitlines()[0]
        self.message = template.format(**fields)
        super().__init__(self.message)


class StepFailed(ImageBuildError):
    """The step "{step}" failed: {reason} (log: {log})."""

    code = "TH-IMG-101"


class DiskFull(ImageBuildError):
    """There is not enough room in {directory}: building needs {needed_mib} MiB, {free_mib} MiB are free."""

    code = "TH-IMG-102"
    next_step = "Free some room, or name another directory with --output."


class MirrorUnreachable(ImageBuildError):
    """No Debian mirror could be reached to download packages: {reason}."""

    code = "TH-IMG-103"
    blame = 3
    next_step = "Check the network and /etc/apt ('apt-get update' must succeed), then run the command again."


class NoDebianSources(ImageBuildError):
    """The apt configuration of this machine names no Debian-signed source for {codename}."""

    code = "TH-IMG-104"
    next_step = "Add the Debian archive to /etc/apt/sources.list.d and run 'apt-get update'."


class ToolMissing(ImageBuildError):
    """The program {tool} is not installed."""

    code = "TH-IMG-105"
    next_step = "Install the packages listed at the top of installer/images/recipe.py."


class NotRoot(ImageBuildError):
    """Building images needs root, because Debian packages are installed into a directory tree."""

    code = "TH-IMG-106"
    blame = 4
    next_step = "Run the command with sudo."


class NotDebian(ImageBuildError):
    """Images are built from the packages of Debian, and this machine runs {system}."""

    code = "TH-IMG-107"
    next_step = "Build the images on a Debian machine."
