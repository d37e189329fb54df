"""The house may only get better: each figure of `script/house` is held until it is at its target."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.frame import house
from tests.frame.house import BOUNDS, MEDIAN


@pytest.fixture(scope="module")
def figures() -> Mapping[str, float]:
    return house.measure()


@pytest.mark.parametrize("name", BOUNDS)
def test_a_figure_is_not_worse_than_it_was(figures: Mapping[str, float], name: str) -> None:
    bound = BOUNDS[name]
    assert bound.target <= bound.held
    assert figures[name] <= bound.held, f"{name}: see `script/house --details`"


def test_the_median_module_is_neither_a_fragment_nor_a_heap(figures: Mapping[str, float]) -> None:
    assert MEDIAN.held <= figures[house.MEDIAN_NAME] <= MEDIAN.most
    assert MEDIAN.held <= MEDIAN.least


def test_every_figure_is_held(figures: Mapping[str, float]) -> None:
    assert set(figures) == {*BOUNDS, house.MEDIAN_NAME}


def source(folder: Path, **modules: str) -> house.Source:
    for name, text in modules.items():
        path = folder / "ddnsd" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return house.Source(folder / "ddnsd")


def test_a_public_name_that_two_types_have_is_found(tmp_path: Path) -> None:
    found = house.homonyms(
        source(
            tmp_path,
            one="class Move: pass\nclass _Own: pass\nclass Alone: pass\n",
            two="Move = int | str\nclass _Own: pass\n",
        )
    )
    assert {name: len(several) for name, several in found.items()} == {"Move": 2}


def test_implementers_of_one_protocol_share_a_name(tmp_path: Path) -> None:
    protocol = "class Watch(Protocol):\n def next(self): ...\n def close(self): ...\n"
    implementer = "class Watch:\n def next(self): ...\n def close(self): ...\n"
    assert not house.homonyms(source(tmp_path, one=protocol, two=implementer, three=implementer))
    assert house.homonyms(source(tmp_path, four="class Watch:\n def next(self): ...\n"))


def test_a_private_part_of_a_library_is_found(tmp_path: Path) -> None:
    code = "from tornado import iostream\nclass Stream(iostream.IOStream):\n def _find_read_pos(self): ...\n"
    plain = "import yaml\nclass Own:\n def _mine(self): self._other = yaml._yaml\n"
    found = house.foreign_private(source(tmp_path, one=code, two=plain))
    assert found == ["ddnsd/one.py:3 _find_read_pos", "ddnsd/two.py:3 yaml._yaml"]


def test_a_patched_private_name_is_found(tmp_path: Path) -> None:
    code = "m.setattr(x, '_A', 1)\nm.setattr('m._B', 1)\nx._C = 1\nm.setattr(x, 'd', 1)\nself._D = 1\n"
    assert len(house.patched(source(tmp_path, one=code))) == 3


def test_what_an_update_enters_is_the_way_through_every_floor() -> None:
    entered = asyncio.run(house.updates())
    changed, unchanged = (floors(entered[kind]) for kind in ("changed", "unchanged"))
    assert changed >= {"web", "service", "model", "store", "leader", "nameserver"}
    assert unchanged >= {"web", "service", "model"}
    assert not unchanged & {"leader", "nameserver"}


def floors(entered: house.Entered) -> set[str]:
    return {file.partition("/")[0] for file in entered.files}
