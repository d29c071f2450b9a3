"""The sections about the configuration, versions, times and warnings of a run."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from icegan_jax.reporting.page.html import definition_list

_UNGROUPED = "run"  # the heading of fields that are in no group


def render_warnings(results: Mapping[str, Any]) -> str:
    """Return the warnings of the folds as a list; empty without warnings."""
    lines = [f"{name}: {line}" for name, warnings in results.get("warnings", {}).items() for line in warnings]
    return f"<ul>{''.join(f'<li>{escape(str(line))}</li>' for line in lines)}</ul>" if lines else ""


def render_versions(results: Mapping[str, Any]) -> str:
    """Return protocol, seed, fingerprint, times and versions."""
    entries = {
        "protocol": results["protocol"],
        "selection rule": results["selection"],
        "training seed": results["seed"],
        "data fingerprint": results["data_fingerprint"],
        **{name.replace("_", " "): _format_number(value) for name, value in results["timing"].items()},
        **results["versions"],
    }
    return definition_list((str(name), str(value)) for name, value in entries.items())


def render_config(config: Mapping[str, Any]) -> str:
    """Return every field of config.json under its group, and the file itself in a closed box."""
    groups: dict[str, list[tuple[str, Any]]] = {_UNGROUPED: []}
    for name, value in config.items():
        if isinstance(value, dict) and value:
            groups.setdefault(name, []).extend(_flat(value))
        else:
            groups[_UNGROUPED].append((name, value))
    parts = []
    for group, fields in groups.items():
        if fields:
            values = definition_list((name, _format_value(value)) for name, value in fields)
            parts.append(f"<section><h3>{escape(group)}</h3>{values}</section>")
    raw = escape(json.dumps(config, indent=2, ensure_ascii=False))
    return (
        f'<div class="groups">{"".join(parts)}</div>'
        + f"<details><summary>config.json as it is</summary><pre>{raw}</pre></details>"
    )


def without_data_folder(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config without the folder of the data, which may hold a user's name, at this and at earlier starts."""
    shared = {name: _without(value, "dir") if name == "data" else value for name, value in config.items()}
    if isinstance(config.get("resumed"), list):
        shared["resumed"] = [
            {name: _without(value, "data.dir") for name, value in start.items()} if isinstance(start, dict) else start
            for start in config["resumed"]
        ]
    return shared


def _without(value: Any, field: str) -> Any:
    return {name: inner for name, inner in value.items() if name != field} if isinstance(value, dict) else value


def _flat(block: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in block.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _format_value(value: Any) -> str:
    """Return a string unchanged, a dash for an empty string, and any other value as JSON."""
    if isinstance(value, str):
        return value or "–"
    return json.dumps(value, ensure_ascii=False)


def _format_number(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
