"""Fixtures of the experiments' tests."""

from tests.data.conftest import face_image

__all__ = ["face_image"]
