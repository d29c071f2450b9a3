"""The layout of the page, its style, and the functions that its buttons call. No other file imports gradio."""

from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from icegan_jax.data.video import VIDEO_SUFFIXES
from icegan_jax.errors import UserError, describe_os_error
from icegan_jax.inference.app.examples import Examples, Paths
from icegan_jax.inference.app.results import (
    FACE,
    MAX_DRAW,
    WHOLE,
    error_html,
    recognize_pair_html,
    recognize_video_html,
    synthesis_html,
)
from icegan_jax.inference.app.uploads import Uploads, path_of
from icegan_jax.inference.describe import describe_networks
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.face_crops import FIRST, QUIETEST
from icegan_jax.inference.synthesize import MAX_INTENSITY
from icegan_jax.reporting.render import RESULT_STYLE

MAX_UPLOAD = "500mb"
_MAX_UPLOAD_AGE_S = 86400  # An upload of a session that lasts longer is removed.
_CLEANUP_INTERVAL_S = 3600

_TITLE = "ICE-GAN: micro-expressions"
_INK = "#12335b"  # of the buttons, as in the report
_FONT = ("system-ui", "sans-serif")
_MONO_FONT = ("ui-monospace", "monospace")
_CAUTION = (
    "No lie detector, and no proof of what somebody feels: a prediction is a class of the training data or "
    '"no expression", whatever the face shows. Use pictures of people who agreed to it. Your files stay on the '
    "computer that runs this page and are removed when you close it; the metadata of a synthesized face declares the "
    "face as synthetic."
)
_CSS = (
    RESULT_STYLE
    + """
.gradio-container { --line: var(--border-color-primary); --card: var(--background-fill-secondary); --rule: #d69a00;
  --soft: #5d6673; }
.dark .gradio-container { --soft: #9aa3af; }
.gradio-container { width: 100%; max-width: 60rem !important; margin: 0 auto !important; }
.gradio-container .html-container { padding: .25rem 0; }
@media (max-width: 40rem) { .gradio-container .fillable { padding: .75rem 1rem; } }
.words h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; font-weight: 600; }
.words p { max-width: 46rem; margin: .25rem 0; line-height: 1.55; }
.soft, .words .soft { color: var(--soft); }
.note { background: #fff3d6; color: #22262e; border-left: .25rem solid #d69a00; padding: .6rem .9rem; }
.dark .note { background: #33290f; color: #e6e8eb; }
.problem { color: #b3261e; background: #fdecea; border-left: .25rem solid #b3261e; padding: .6rem .9rem; margin: 0;
  overflow-wrap: anywhere; }
.dark .problem { color: #ffb4ab; background: #3a1513; border-color: #ff9d94; }
.dark input[type=range] { --neutral-200: #475569; }
.result { font-size: 1rem; line-height: 1.5; }
.result .class { font-size: 1.5rem; font-weight: 600; margin: 0; }
.result h3 { font-size: 1.1rem; font-weight: 600; margin: 1.5rem 0 .25rem; }
.result p { margin: .25rem 0; }
.sideways { overflow-x: auto; margin: .75rem 0; }
.result .sideways :is(table, tr) { border: 0; }
.sideways table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.result .sideways :is(th, td) { padding: .3rem 1.2rem .3rem 0; text-align: left; vertical-align: top; border: 0;
  border-bottom: 1px solid var(--border-color-primary); white-space: nowrap; }
.result .sideways th { font-weight: 500; color: var(--soft); }
.result .sideways td:last-child { white-space: normal; }
.sideways td:last-child { min-width: 16rem; }
.result a { margin: 0; padding: 0; }
.result img { display: block; border-radius: .6rem; max-width: 100%; height: auto; margin: 0; }
.faces.four { grid-template-columns: repeat(4, 1fr); }
@media (max-width: 40rem) { .faces.four { grid-template-columns: 1fr 1fr; } }
.dark img.map { filter: invert(1) hue-rotate(180deg); mix-blend-mode: screen; }
.examples { align-items: center; }
.examples > * { flex: none; width: auto; min-width: 0 !important; }
"""
)

_WITHOUT_MESSAGE = "html => html?.includes('class=\"problem\"') ? '' : html"

Value = Mapping[str, Any] | None  # the value of a component for files, as the browser sends the value


def build(recognizer: Ensemble, generator: Ensemble | None, examples: Examples) -> gr.Blocks:
    """Return the page.

    Args:
        recognizer: the discriminators.
        generator: the generators; None: the page has no tab for synthesis.
        examples: inputs that a button puts in.
    """
    uploads = Uploads()
    with gr.Blocks(
        title=_TITLE, analytics_enabled=False, delete_cache=(_CLEANUP_INTERVAL_S, _MAX_UPLOAD_AGE_S)
    ) as page:
        gr.HTML(_heading(recognizer), elem_classes="words")
        with gr.Tabs():
            with gr.Tab("Two pictures"):
                neutral = _pair_tab(recognizer, uploads, examples.pairs)
            with gr.Tab("A clip"):
                _video_tab(recognizer, uploads, examples.clips)
            if generator is not None:
                with gr.Tab("Synthesis"):
                    _synthesis_tab(generator, neutral, uploads, examples.faces)

        def end_session(request: gr.Request) -> None:
            uploads.end_session(request.session_hash)

        page.unload(end_session)
    return page


def launch(page: gr.Blocks, host: str, port: int) -> None:
    """Serve the page from a thread of its own.

    All arguments that gradio would take from the environment are set here: no public link, no history in the browser,
    no API documentation, no second server.
    """
    page.launch(
        server_name=host,
        server_port=port,
        quiet=True,
        prevent_thread_lock=True,
        inbrowser=False,
        share=False,
        show_error=True,
        max_file_size=MAX_UPLOAD,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        ssr_mode=False,
        num_workers=0,
        root_path="",
        theme=_theme(),
        css=_CSS,
    )


def _theme() -> gr.Theme:
    theme = gr.themes.Base(font=_FONT, font_mono=_MONO_FONT, primary_hue="blue", neutral_hue="slate")
    return theme.set(
        button_primary_background_fill=_INK,
        button_primary_background_fill_dark="#2c5a92",
        button_primary_background_fill_hover="#1d4a80",
        button_primary_background_fill_hover_dark="#3a6cab",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
    )


def _heading(ensemble: Ensemble) -> str:
    networks = describe_networks(ensemble)
    text = f"Run {networks['run']}, {networks['networks']}. Classes: {networks['classes']}. "
    if "databases" in networks:
        text += f"Trained on {networks['training data']} ({networks['databases']}). "
    text += f"Scores on people that the networks were not trained on: {networks['held-out scores']}."
    return f'<h1>Micro-expressions</h1><p class="soft">{escape(text)}</p><p class="note">{escape(_CAUTION)}</p>'


def _pair_tab(ensemble: Ensemble, uploads: Uploads, examples: Mapping[str, Paths]) -> gr.Image:
    """Add the tab for two pictures, and return the component of the neutral face."""
    with gr.Row():
        neutral = _picture("The neutral face")
        expression = _picture("The same face with an expression")
    button = gr.Button("Recognize", variant="primary")

    def recognize(first: Value, second: Value) -> str:
        files = {"the neutral face": first, "the face with an expression": second}
        return _html_or_error(lambda onset, apex: recognize_pair_html(ensemble, onset, apex), files)

    run = _add_output(recognize, [neutral, expression], [], uploads, examples)
    run(button.click)
    return neutral


def _video_tab(ensemble: Ensemble, uploads: Uploads, examples: Mapping[str, Paths]) -> None:
    with gr.Row():
        with gr.Column():
            kinds = ", ".join(suffix.removeprefix(".") for suffix in VIDEO_SUFFIXES)
            video = gr.File(label=f"A video of a face: {kinds}", file_types=list(VIDEO_SUFFIXES), height=180)
            with gr.Accordion("Record with a camera", open=False):
                # As many frames per second as the camera gives.
                options = gr.WebcamOptions(mirror=False, constraints={"video": {"frameRate": {"ideal": 120}}})
                camera = gr.Video(label="Camera", sources=["webcam"], webcam_options=options, height=320, buttons=[])
        with gr.Column():
            choices = [("its first frame", FIRST), ("where least moves", QUIETEST)]
            onset = gr.Radio(choices, value=FIRST, label="The neutral face is")
            fps = gr.Number(0, label="Frames per second (0: as in the file)", minimum=0, maximum=100_000)
    camera.stop_recording(None, camera, video, js="(recording) => recording")
    button = gr.Button("Recognize", variant="primary")

    def recognize(value: Value, rate: float | None, neutral: str) -> str:
        fps = rate if rate and rate > 0 else None
        return _html_or_error(lambda path: recognize_video_html(ensemble, path, fps, neutral), {"the video": value})

    run = _add_output(recognize, [video], [fps, onset], uploads, examples)
    run(button.click)


def _synthesis_tab(
    ensemble: Ensemble, first_picture: gr.Image, uploads: Uploads, examples: Mapping[str, Paths]
) -> None:
    """Add the tab for synthesis; a neutral face that is uploaded to the first tab appears here, too."""
    with gr.Row():
        neutral = _picture("A neutral face")
        first_picture.upload(None, first_picture, neutral, js="(face) => face")
        with gr.Column():
            label = "Intensity: 0 changes nothing, 1 is as trained"
            intensity = gr.Slider(0, MAX_INTENSITY, value=1, step=0.1, label=label, buttons=[])
            label = "Noise: another number, another face of the same expression"
            draw = gr.Slider(0, MAX_DRAW, value=0, step=1, label=label, buttons=[])
            view = gr.Radio([("the face", FACE), ("the whole picture", WHOLE)], value=FACE, label="Show")
    button = gr.Button("Synthesize", variant="primary")

    def synthesize(value: Value, share: float | None, number: float | None, kind: str) -> str:
        files = {"a neutral face": value}
        return _html_or_error(lambda path: synthesis_html(ensemble, path, share or 0.0, int(number or 0), kind), files)

    run = _add_output(synthesize, [neutral], [intensity, draw, view], uploads, examples)
    for event in (button.click, intensity.input, draw.input, view.input):
        run(event)


def _picture(label: str) -> gr.Image:
    return gr.Image(
        label=label,
        sources=["upload", "webcam", "clipboard"],
        type="filepath",
        height=320,
        buttons=[],
        webcam_options=gr.WebcamOptions(mirror=False),
    )


def _add_output(
    action: Callable[..., str], files: list[Any], options: list[Any], uploads: Uploads, examples: Mapping[str, Paths]
) -> Callable[[Callable[..., Any]], None]:
    """Add the buttons of the examples, and the output.

    The output goes when a file is uploaded or removed, and an error message when any input changes.

    Args:
        action: takes the values of the files and the options, and returns the output.
        files: the components of the input files.
        options: the other inputs.
        uploads: the registry of uploaded files.
        examples: paths for ``files``, by the names of their buttons.

    Returns:
        A function that lets an event call the action.
    """
    with gr.Row(elem_classes="examples"):
        gr.HTML('<p class="soft">Examples (drawn faces)</p>')
        buttons = {gr.Button(name, size="sm", min_width=80, scale=0): paths for name, paths in examples.items()}
    output = gr.HTML()
    for component in files:
        _register_uploads(component.change, component, uploads)
        # At a change the result would go, too, that an example has brought by then.
        for event in (component.upload, component.clear):
            event(None, None, output, js="() => ''")
    for component in (*files, *options):
        component.change(None, output, output, js=_WITHOUT_MESSAGE)

    def run(event: Callable[..., Any]) -> None:
        _connect(event, action, [*files, *options], output)

    for button, paths in buttons.items():
        values = [str(path) for path in paths]
        loaded = button.click(partial(_load, values), None, files, queue=False, api_visibility="private")
        run(loaded.then)
    return run


def _load(values: list[str]) -> list[str] | str:
    return values if len(values) > 1 else values[0]


def _html_or_error(action: Callable[..., str], files: Mapping[str, Value]) -> str:
    """Return the HTML of an action on the files, or an error message where one is missing or cannot be read."""
    paths = [path for path in map(path_of, files.values()) if path is not None]
    if len(paths) < len(files):
        missing = next(name for name, value in files.items() if path_of(value) is None)
        return error_html(f"Drop {missing} first.")
    for path in paths:
        if not path.exists():  # The session is older than _MAX_UPLOAD_AGE_S.
            return error_html(f"{path.name} was removed meanwhile; drop it again.")
    try:
        return action(*paths)
    except UserError as error:
        message = str(error)
    except OSError as error:
        message = describe_os_error(error, "the computer that runs this page")
    for path in paths:
        message = message.replace(str(path), path.name)
    return error_html(message)


def _connect(event: Callable[..., Any], action: Callable[..., str], inputs: list[Any], output: gr.HTML) -> None:
    """Call an action at an event; the actions of all sessions run one at a time."""
    # preprocess=False: gradio would open pictures itself, and show a traceback for a damaged one.
    # always_last: while an action runs, only the last event of a moving slider is kept.
    event(
        action,
        inputs,
        output,
        preprocess=False,
        trigger_mode="always_last",
        concurrency_id="networks",
        api_visibility="private",
    )


def _register_uploads(event: Callable[..., Any], component: Any, uploads: Uploads) -> None:
    def register(value: Value, request: gr.Request) -> None:
        uploads.add(request.session_hash, value)

    event(register, component, None, preprocess=False, queue=False, show_progress="hidden", api_visibility="private")
