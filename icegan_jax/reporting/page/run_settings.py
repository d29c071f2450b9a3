"""How a run was made: its configuration as a table and as it is stored, versions, time, and what it warned of."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from icegan_jax.reporting.page.html import definition_list

_RUN = "run"  # the heading of fields that are in no group


def render_warnings(results: Mapping[str, Any]) -> str:
    """What folds warned of; empty where none did."""
    lines = [f"{name}: {line}" for name, found in results.get("warnings", {}).items() for line in found]
    return f"<ul>{''.join(f'<li>{escape(str(line))}</li>' for line in lines)}</ul>" if lines else ""


def render_versions(results: Mapping[str, Any]) -> str:
    """Protocol, seed, fingerprint, time and versions."""
    entries = {
        "protocol": results["protocol"],
        "selection rule": results["selection"],
        "training seed": results["seed"],
        "data fingerprint": results["data_fingerprint"],
        **{name.replace("_", " "): _number(value) for name, value in results["timing"].items()},
        **results["versions"],
    }
    return definition_list((str(name), str(value)) for name, value in entries.items())


def render_config(config: Mapping[str, Any]) -> str:
    """Every field of config.json under its group, and the file itself folded away."""
    groups: dict[str, list[tuple[str, Any]]] = {_RUN: []}
    for name, value in config.items():
        if isinstance(value, dict) and value:
            groups.setdefault(name, []).extend(_flat(value))
        else:
            groups[_RUN].append((name, value))
    parts = [
        f"<section><h3>{escape(group)}</h3>{definition_list((name, _words(value)) for name, value in fields)}</section>"
        for group, fields in groups.items()
        if fields
    ]
    raw = escape(json.dumps(config, indent=2, ensure_ascii=False))
    return (
        f'<div class="groups">{"".join(parts)}</div>'
        + f"<details><summary>config.json as it is</summary><pre>{raw}</pre></details>"
    )


def without_data_folder(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config without the folder of the data, which may tell its owner's name: not now, and not of earlier starts."""
    kept = {name: _without(value, "dir") if name == "data" else value for name, value in config.items()}
    if isinstance(config.get("resumed"), list):
        kept["resumed"] = [
            {name: _without(value, "data.dir") for name, value in start.items()} if isinstance(start, dict) else start
            for start in config["resumed"]
        ]
    return kept


def _without(value: Any, field: str) -> Any:
    return {name: inner for name, inner in value.items() if name != field} if isinstance(value, dict) else value


def _flat(block: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in block.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _words(value: Any) -> str:
    """Text as it stands, all else as JSON has it; a dash for nothing."""
    if isinstance(value, str):
        return value or "–"
    return json.dumps(value, ensure_ascii=False)


def _number(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
