"""What was run, in words: title, system, the command that repeats the run, and the configuration that matters."""

from collections.abc import Mapping
from typing import Any

from icegan_jax.config_fields import NOT_FIELDS, default_fields, field_comments, flatten, is_equal, repeat_command
from icegan_jax.methods import METHODS, Method
from icegan_jax.reporting.render import Column, Row, Table, format_value
from icegan_jax.reporting.run_files import Run

# Shown also where they are as in configs/loso.py.
_CENTRAL = (
    "method",
    "protocol",
    "data.database",
    "model.image_size",
    "model.recognition_input",
    "generator.kind",
    "discriminator.kind",
    "optimizer.learning_rate",
    "training.epochs",
    "training.steps",
    "training.batch_size",
    "evaluation.selection",
    "seed",
)
_DATA_FOLDER = "data.dir"  # may hold a user's name


def databases(run: Run) -> list[str]:
    """Return the names of the databases of a run; of a run without score, those of the faces that were read."""
    if run.scored:
        return list(run.results["datasets"])
    return [] if run.faces is None else sorted({dataset for dataset, _ in run.faces.subject})


def describe_title(run: Run) -> str:
    """Return system, data and extent of a run, such as "ICE-GAN on samm, smic: 297 clips of 44 subjects"."""
    results, names = run.results, databases(run)
    extent = f"{results['num_clips']} clips of {results.get('num_people', results['num_folds'])} subjects"
    return f"{system_name(run.config)}{' on ' * bool(names)}{', '.join(names)}: {extent}"


def system_name(config: Mapping[str, Any]) -> str:
    """Return the name of a run's system: ICE-GAN, or a compared system as in its table."""
    method = METHODS.get(str(config_fields(config).get("method")))
    return "ICE-GAN" if method is None else method.title


def describe_system(run: Run) -> str:
    """Return the networks, version and date of a run in a sentence."""
    fields = config_fields(run.config)
    method = METHODS.get(str(fields.get("method")))
    if method is not None:
        return _describe_compared_system(run, method, fields)
    inputs = {"apex": "recognizes from the apex alone", "pair": "recognizes from onset and apex"}
    parts = [
        inputs.get(fields.get("model.recognition_input", ""), ""),
        f"generator {fields['generator.kind']}{' with motion' * bool(fields.get('generator.motion'))}"
        if "generator.kind" in fields
        else "",
        f"discriminator {fields['discriminator.kind']}" if "discriminator.kind" in fields else "",
        *_describe_start(run.config),
    ]
    return ", ".join([f"Run {run.name}", *filter(None, parts)])


def _describe_start(config: Mapping[str, Any]) -> list[str]:
    """Return date and version of a run, as far as the config has them."""
    parts = [
        f"started {config['started'][:10]}" if "started" in config else "",
        f"icegan_jax {config['code']['icegan_jax']}" if "code" in config else "",
        f"commit {config['git_commit'][:12]}" if config.get("git_commit") else "",
    ]
    return [part for part in parts if part]


def _describe_compared_system(run: Run, method: Method, fields: Mapping[str, Any]) -> str:
    """Return the name, input and deviations of a compared system in a sentence."""
    size = f"{fields['input.size']}x{fields['input.size']} pixels"
    reads = {
        "motion": f"reads u, v and strain ({fields['input.flow']}, {fields['input.scaling']}) of {size}",
        "apex": f"reads the apex of {size}",
    }
    deviations = f"differs from its source: {method.deviations}" if method.deviations else ""
    parts = [reads.get(method.input, ""), deviations, *_describe_start(run.config)]
    return ", ".join([f"Run {run.name}: {method.title}", *filter(None, parts)])


def describe_command(run: Run, *, data_folder: bool = True) -> str:
    """Return the command that repeats a run; without its data folder, DATA stands for that folder."""
    known = default_fields()
    fields = {name: value for name, value in config_fields(run.config).items() if name in known}
    if fields.get(_DATA_FOLDER) and not data_folder:
        fields[_DATA_FOLDER] = "DATA"
    return repeat_command(fields, f"runs/{run.name}")


def describe_resumes(config: Mapping[str, Any], *, data_folder: bool = True) -> list[str]:
    """Return a line for each start that accepted other settings with --force_resume."""
    lines = []
    for start in config.get("resumed", []):
        changed = {name: pair for name, pair in start["changed"].items() if data_folder or name != _DATA_FOLDER}
        words = (f"{name} {format_value(old)} → {format_value(new)}" for name, (old, new) in changed.items())
        lines.append(f"{start['when']}: {', '.join(words)}")
    return lines


def config_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields in a config.json by dotted name, without the notes of the run."""
    return flatten({name: value for name, value in config.items() if name not in NOT_FIELDS})


def configuration_table(config: Mapping[str, Any], *, data_folder: bool = True) -> Table:
    """Return the central fields, and those that differ from configs/loso.py, with the comments there."""
    defaults, comments, rows = default_fields(), field_comments(), []
    for name, value in config_fields(config).items():
        differs = not is_equal(value, defaults.get(name))
        if (differs or name in _CENTRAL) and (data_folder or name != _DATA_FOLDER):
            default = format_value(defaults[name]) if name in defaults else "–"
            rows.append(Row([name, format_value(value), default if differs else "", comments.get(name, "")]))
    names = [Column(name, "name") for name in ("field", "value", "in configs/loso.py")]
    return Table("Configuration", [*names, Column("meaning", "words")], rows)
