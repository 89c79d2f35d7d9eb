from __future__ import annotations

import json

from neuraxis.cli import main


def test_all_kinds_are_listed_with_what_each_name_is(capsys) -> None:
    assert main.run(["catalog"]) == 0
    shown = capsys.readouterr().out
    for kind in ("networks", "losses", "layouts", "recipes", "metrics", "runtimes"):
        assert f"{kind}\n  " in shown
    assert "  unet  plain U-Net" in shown
    assert "(needs neuraxis[train])" in shown


def test_one_kind_alone_as_json(capsys) -> None:
    assert main.run(["catalog", "recipes", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert list(content) == ["recipes"]
    assert content["recipes"]["hippocampus"]
