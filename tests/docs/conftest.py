"""A plant of the demo park at work, as `tests/service` puts it together."""

from tests.service.conftest import a_link, empty_plant, park_file, plant

__all__ = ["a_link", "empty_plant", "park_file", "plant"]
