"""What stands where on the page, and what is called when something is pressed. The only file that knows gradio."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import gradio as gr

from icegan_jax.data.video import VIDEO_SUFFIXES
from icegan_jax.errors import UserError, describe_os_error
from icegan_jax.inference.app import html, style
from icegan_jax.inference.app.recognition import recognize_pair_html, recognize_video_html
from icegan_jax.inference.app.synthesis import FACE, MOST_DRAW, WHOLE, synthesis_html
from icegan_jax.inference.app.uploads import Uploads, path_of
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.face_crops import FIRST, QUIETEST
from icegan_jax.inference.synthesize import MOST_INTENSITY

MOST_UPLOADED = "500mb"
_KEPT_S = 86400  # a file of a page that stays open for longer than a day is removed

Value = Mapping[str, Any] | None  # of a component that holds a file, as the browser sends it

_CAUTION = (
    "No lie detector, and no proof of what somebody feels: an answer is one of the classes that the networks know, "
    "whatever the face shows. Use pictures of people who agreed to it. What you put in stays on the computer that runs "
    "this page and is removed when you close it; made faces are marked as synthetic."
)


def build(recognizer: Ensemble, generator: Ensemble | None) -> gr.Blocks:
    """The page.

    Args:
      recognizer: whose discriminators answer.
      generator: whose generators make faces; None: the page has no such part.
    """
    uploads = Uploads()
    with gr.Blocks(title=style.TITLE, analytics_enabled=False, delete_cache=(3600, _KEPT_S)) as page:
        gr.HTML(_head(recognizer), elem_classes="words")
        with gr.Tabs():
            with gr.Tab("Two pictures"):
                neutral = _pair(recognizer, uploads)
            with gr.Tab("A clip"):
                _clip(recognizer, uploads)
            if generator is not None:
                with gr.Tab("Make faces"):
                    _faces(generator, neutral, uploads)
        page.unload(_forgetting(uploads))
    return page


def launch(page: gr.Blocks, host: str, port: int) -> None:
    """Serves the page from a thread of its own.

    Everything that gradio would take from the environment is said here: no link to share, no history in the browser,
    no documents of an interface, no second server.
    """
    page.launch(
        server_name=host,
        server_port=port,
        quiet=True,
        prevent_thread_lock=True,
        inbrowser=False,
        share=False,
        show_error=True,
        max_file_size=MOST_UPLOADED,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        ssr_mode=False,
        num_workers=0,
        root_path="",
        theme=_theme(),
        css=style.STYLE,
    )


def _theme() -> gr.Theme:
    theme = gr.themes.Base(font=style.FONT, font_mono=style.MONO, primary_hue="blue", neutral_hue="slate")
    return theme.set(
        button_primary_background_fill=style.INK,
        button_primary_background_fill_dark="#2c5a92",
        button_primary_background_fill_hover="#1d4a80",
        button_primary_background_fill_hover_dark="#3a6cab",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
    )


def _head(model: Ensemble) -> str:
    count = f"{len(model.folds)} folds" if len(model.folds) > 1 else f"fold {model.folds[0].name}"
    words = f"Networks of {count} of the run {model.run_dir.resolve().name}. They know {', '.join(model.classes)}."
    return f'<h1>Micro-expressions</h1><p class="soft">{escape(words)}</p><p class="note">{escape(_CAUTION)}</p>'


def _pair(model: Ensemble, uploads: Uploads) -> gr.Image:
    with gr.Row():
        neutral = _picture("The neutral face", uploads)
        expression = _picture("The same face with an expression", uploads)
    button = gr.Button("Recognize", variant="primary")
    answer = gr.HTML()

    def recognize(first: Value, second: Value) -> str:
        given = {"the neutral face": first, "the face with an expression": second}
        return _error_as_html(lambda a, b: recognize_pair_html(model, a, b), given)

    _connect(button.click, recognize, [neutral, expression], answer)
    return neutral


def _clip(model: Ensemble, uploads: Uploads) -> None:
    with gr.Row():
        clip = gr.File(
            label="A video of a face: mp4, mov, avi, mkv or gif", file_types=list(VIDEO_SUFFIXES), height=180
        )
        with gr.Column():
            names = [("its first frame", FIRST), ("where least moves", QUIETEST)]
            onset = gr.Radio(names, value=FIRST, label="The neutral face is")
            rate = gr.Number(0, label="Frames per second (0: what the file says)", minimum=0, maximum=100_000)
    button = gr.Button("Recognize", variant="primary")
    answer = gr.HTML()
    _noting(clip.change, clip, uploads)

    def recognize(value: Value, fps: float | None, neutral: str) -> str:
        said = fps if fps and fps > 0 else None
        return _error_as_html(lambda path: recognize_video_html(model, path, said, neutral), {"the video": value})

    _connect(button.click, recognize, [clip, rate, onset], answer)


def _faces(model: Ensemble, before: gr.Image, uploads: Uploads) -> None:
    with gr.Row():
        neutral = _picture("A neutral face", uploads)
        before.upload(None, before, neutral, js="(face) => face")  # what is at hand need not be put in twice
        with gr.Column():
            label = "Intensity: 0 changes nothing, 1 is as trained"
            intensity = gr.Slider(0, MOST_INTENSITY, value=1, step=0.1, label=label, buttons=[])
            label = "Noise: another number, another face of the same expression"
            draw = gr.Slider(0, MOST_DRAW, value=0, step=1, label=label, buttons=[])
            what = gr.Radio([("the face", FACE), ("the whole picture", WHOLE)], value=FACE, label="Show")
    button = gr.Button("Make faces", variant="primary")
    answer = gr.HTML()

    def make(value: Value, share: float | None, noise: float | None, kind: str) -> str:
        given = {"a neutral face": value}
        return _error_as_html(lambda path: synthesis_html(model, path, share or 0.0, int(noise or 0), kind), given)

    for event in (button.click, intensity.input, draw.input, what.input):
        _connect(event, make, [neutral, intensity, draw, what], answer)


def _picture(label: str, uploads: Uploads) -> gr.Image:
    image = gr.Image(label=label, sources=["upload", "clipboard"], type="filepath", height=320, buttons=[])
    _noting(image.change, image, uploads)
    return image


def _error_as_html(action: Callable[..., str], given: Mapping[str, Value]) -> str:
    """What an action says of the files given, or in one line what is wrong with them."""
    paths = [path for path in map(path_of, given.values()) if path is not None]
    if len(paths) < len(given):
        missing = next(name for name, value in given.items() if path_of(value) is None)
        return html.error_html(f"Drop {missing} first.")
    for path in paths:
        if not path.exists():  # the page stood open for longer than _KEPT_S
            return html.error_html(f"{path.name} was removed meanwhile; drop it again.")
    try:
        return action(*paths)
    except UserError as error:
        message = str(error)
    except OSError as error:
        message = describe_os_error(error, "the computer that runs this page")
    for path in paths:
        message = message.replace(str(path), path.name)
    return html.error_html(message)


def _connect(event: Callable[..., Any], action: Callable[..., str], inputs: list[Any], output: gr.HTML) -> None:
    """Calls an action, one at a time for all who look at the page; it gets files as ``path_of`` takes them."""
    # Not preprocessed: gradio would open pictures itself, and show a traceback where one is damaged.
    # always_last: of a slider that moves on meanwhile, the place where it stops.
    event(
        action,
        inputs,
        output,
        preprocess=False,
        trigger_mode="always_last",
        concurrency_id="networks",
        api_visibility="private",
    )


def _noting(event: Callable[..., Any], component: Any, uploads: Uploads) -> None:
    def note(value: Value, request: gr.Request) -> None:
        uploads.note(request.session_hash, value)

    event(note, component, None, preprocess=False, queue=False, show_progress="hidden", api_visibility="private")


def _forgetting(uploads: Uploads) -> Callable[..., None]:
    def forget(request: gr.Request) -> None:
        uploads.forget(request.session_hash)

    return forget
