"""The page about blocks names each block with its options, and states its start and cost correctly."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from workers.models.blocks import aspp, bottleneck, conv_aws, dnl, fpn, non_local, resnet, rfp, sac

PAGE = (Path(__file__).parents[5] / "docs/blocks.md").read_text(encoding="utf-8")
MODULES = [aspp, bottleneck, conv_aws, dnl, fpn, non_local, resnet, rfp, sac]
OPTIONS = [
    ("Switchable atrous convolution", sac.SwitchableAtrousConv),
    ("Feature pyramid", fpn.FPN),
    ("Recursive feature pyramid", rfp.RecursiveFeaturePyramid),
    ("Backbone", resnet.ResNet),
    ("Non-local blocks", non_local.NonLocal),
    ("Non-local blocks", dnl.DisentangledNonLocal),
    ("Non-local blocks", dnl.OfficialDisentangledNonLocal),
]
_WITHOUT_DEFAULT = inspect.Parameter.empty


@pytest.mark.parametrize("module", MODULES, ids=lambda one: one.__name__.rpartition(".")[2])
def test_every_block_is_listed_with_its_module(module):
    blocks = [name for name, one in vars(module).items() if inspect.isclass(one) and one.__module__ == module.__name__]
    blocks = [name for name in blocks if hasattr(getattr(module, name), "forward")]
    short = module.__name__.rpartition(".")[2]
    rows = [line for line in PAGE.splitlines() if line.startswith("| [") and f"`{short}`" in line]
    assert [name for name in blocks if f"`{name}`" not in "".join(rows)] == []


@pytest.mark.parametrize(("title", "block"), OPTIONS, ids=lambda one: getattr(one, "__name__", ""))
def test_every_option_is_documented(title, block):
    [text] = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    options = [one for one in inspect.signature(block).parameters.values() if one.default is not _WITHOUT_DEFAULT]
    assert options
    assert [one.name for one in options if f"| `{one.name}` |" not in text] == []
