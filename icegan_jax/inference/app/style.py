"""How the page looks: gradio's own colours and sizes, with the system's letters, light and dark."""

TITLE = "ICE-GAN: micro-expressions"
INK = "#12335b"  # of the report's page, for buttons
FONT = ("system-ui", "sans-serif")
MONO = ("ui-monospace", "monospace")

STYLE = """
.gradio-container { width: 100%; max-width: 60rem !important; margin: 0 auto !important; }
.gradio-container .html-container { padding: .25rem 0; }
@media (max-width: 40rem) { .gradio-container .fillable { padding: .75rem 1rem; } }
.words h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; font-weight: 600; }
.words p { max-width: 46rem; margin: .25rem 0; line-height: 1.55; }
.soft, .words .soft { color: #5d6673; }
.dark .soft, .dark .words .soft { color: #9aa3af; }
.note { background: #fff3d6; color: #22262e; border-left: .25rem solid #d69a00; padding: .6rem .9rem; }
.dark .note { background: #33290f; color: #e6e8eb; }
.problem { color: #b3261e; background: #fdecea; border-left: .25rem solid #b3261e; padding: .6rem .9rem; margin: 0;
  overflow-wrap: anywhere; }
.dark .problem { color: #ffb4ab; background: #3a1513; border-color: #ff9d94; }
.dark input[type=range] { --neutral-200: #475569; }
.answer { font-size: 1rem; line-height: 1.5; }
.answer .class { font-size: 1.5rem; font-weight: 600; margin: 0; }
.answer h3 { font-size: 1.1rem; font-weight: 600; margin: 1.5rem 0 .25rem; }
.answer p { margin: .25rem 0; }
.bars { list-style: none; margin: .75rem 0; padding: 0; max-width: 34rem; }
.bars li { display: grid; grid-template-columns: minmax(5rem, max-content) 1fr 2.5rem; gap: .75rem; align-items: center;
  padding: .2rem 0; margin: 0; overflow-wrap: anywhere; }
.bars .bar { display: block; height: .7rem; border-radius: .35rem; overflow: hidden;
  background: var(--border-color-primary); }
.bars .bar i { display: block; height: 100%; }
.bars b { font-weight: 400; text-align: right; font-variant-numeric: tabular-nums; }
.bars .best span, .bars .best b { font-weight: 650; }
.flags { margin: .75rem 0; padding: .6rem .9rem .6rem 1.9rem; border-left: .25rem solid #d69a00;
  background: var(--background-fill-secondary); list-style: disc; }
.flags li { margin: .1rem 0; }
.sideways { overflow-x: auto; margin: .75rem 0; }
.answer .sideways :is(table, tr) { border: 0; }
.sideways table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.answer .sideways :is(th, td) { padding: .3rem 1.2rem .3rem 0; text-align: left; vertical-align: top; border: 0;
  border-bottom: 1px solid var(--border-color-primary); white-space: nowrap; }
.answer .sideways th { font-weight: 500; color: #5d6673; }
.dark .answer .sideways th { color: #9aa3af; }
.answer .sideways td:last-child { white-space: normal; }
.sideways td:last-child { min-width: 16rem; }
.answer a { margin: 0; padding: 0; }
.answer img { display: block; border-radius: .6rem; max-width: 100%; height: auto; margin: 0; }
.faces { display: grid; gap: .75rem; max-width: 56rem; margin: .75rem 0; }
.faces.made { grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); }
.faces.made figure { max-width: 18rem; }
@media (max-width: 40rem) { .faces.made { grid-template-columns: 1fr; }
  .faces.made figure { max-width: none; display: grid; grid-template-columns: 1fr 1fr; gap: 0 .5rem;
    align-items: center; }
  .faces.made figcaption { grid-column: 1 / 3; grid-row: 1; } }
.faces.three { max-width: 46rem; grid-template-columns: repeat(3, 1fr); }
.faces figure { margin: 0; }
.faces img { width: 100%; }
.faces figcaption { font-size: .85rem; line-height: 1.35; padding: .3rem 0; color: #5d6673; }
.dark .faces figcaption { color: #9aa3af; }
.dark .answer img { filter: brightness(.85); }
"""
