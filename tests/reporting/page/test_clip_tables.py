from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.reporting.page.clip_tables import render_clips, render_subjects

CLASSES = ("<calm>", "moved")
ROWS = [
    Prediction("db", "s10", "a", 0, 0, (0.75, 0.25)),
    Prediction("db", "s2", "a", 0, 1, (0.5, 0.625)),
    Prediction("db", "s10", "b", 1, 1, (0.5, 0.75)),
]


def test_subjects_count_right_clips_of_each_class():
    html = render_subjects(ROWS, CLASSES)
    head = '<th scope="col" aria-sort="none" class="number"><button type="button">&lt;calm&gt;</button></th>'
    assert head in html and "<calm>" not in html
    cells = '<td class="number" data-value="{}">{}</td>'
    ten = [cells.format(*cell) for cell in (("2", "2"), ("1", "2 / 2"), ("1", "1 / 1"), ("1", "1 / 1"))]
    two = [cells.format(*cell) for cell in (("1", "1"), ("0", "0 / 1"), ("0", "0 / 1"), ("", "–"))]
    name = '<td class="name">db</td>'
    assert f"<tr>{name}<td>s10</td>{''.join(ten)}</tr><tr>{name}<td>s2</td>{''.join(two)}</tr>" in html


def test_clips_have_lengths_and_the_margin_of_the_true_class():
    html = render_clips(ROWS, CLASSES)
    assert html.count('<tr class="wrong">') == 1
    wrong = html[html.index('<tr class="wrong">') :].split("</tr>")[0]
    assert '<td>a</td><td>&lt;calm&gt;</td><td class="answer">moved</td>' in wrong
    assert wrong.endswith(
        '<td class="number" data-value="0.5">0.500</td><td class="number" data-value="0.625">0.625</td>'
        '<td class="number" data-value="-0.125">-0.125</td>'
    )
    assert 'data-value="0.5">+0.500</td>' in html and 'data-value="0.25">+0.250</td>' in html


def test_a_single_class_has_no_margin():
    html = render_clips([Prediction("db", "s", "a", 0, 0, (0.5,))], ("face",))
    assert '<td class="number" data-value="">–</td>' in html
