import pytest

from encore_recommender import Baskets

#: Add them up by hand: 6 orders; bread 4, butter 3, jam 2, milk 2, tea 2; bread+butter 3, bread+jam 2,
#: butter+jam 1, milk+tea 2.
BREAKFAST = [
    ("o1", "bread"),
    ("o1", "butter"),
    ("o1", "jam"),
    ("o2", "bread"),
    ("o2", "butter"),
    ("o3", "bread"),
    ("o3", "butter"),
    ("o4", "bread"),
    ("o4", "jam"),
    ("o5", "tea"),
    ("o5", "milk"),
    ("o6", "tea"),
    ("o6", "milk"),
]


@pytest.fixture
def breakfast_rows() -> list[tuple[str, str]]:
    return list(BREAKFAST)


@pytest.fixture
def breakfast() -> Baskets:
    return Baskets.from_rows(BREAKFAST)
