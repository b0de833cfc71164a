"""The explorer's page: headings, navigation and room for the figures, readable without them."""

from jinja2 import Environment

__all__ = ["TEMPLATE"]

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 0; }
header, main, .runs { max-width: 84rem; margin: 0 auto; padding: 0 1rem; }
h1 { line-height: 1.2; margin: 1rem 0 .3rem; font-size: 1.6rem; overflow-wrap: anywhere; }
h2 { margin: 2.2rem 0 .3rem; font-size: 1.25rem; scroll-margin-top: 7rem; }
p { margin: .3rem 0 .6rem; max-width: 60rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: 0; margin: .4rem 0;
         list-style: none; }
a { color: #005a8c; } a:focus-visible, label:focus-within { outline: 3px solid #d55e00; }
.runs { display: flex; flex-wrap: wrap; gap: .4rem 1rem; }
.controls { position: sticky; top: 0; z-index: 20; background: #fff; padding: .4rem 0 .6rem;
            border-bottom: 1px solid #bbb; }
.controls, .local { display: flex; flex-wrap: wrap; gap: .2rem .9rem; align-items: end; }
.controls > *, .local > * { flex: 1 1 8rem; min-width: 0; }
.controls > .button, .local > .button { flex: 0 0 auto; }
.controls > .slider, .local > .slider { flex: 4 1 14rem; }
.local { max-width: 42rem; }
.parts { display: grid; gap: .8rem 1.2rem; align-items: start;
         grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.parts > * { min-width: 0; break-inside: avoid; }
.told, .table { grid-column: 1 / -1; } .table { overflow-x: auto; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem; color: #555; }
@media (max-width: 40rem) {
  .controls > * { flex-basis: 6rem; }
  h2 { scroll-margin-top: 11rem; }
}
.figure > svg { display: none; }
@media print {
  .controls, .local, nav, .runs { display: none; }
  h2, h2 + p { break-after: avoid; }
  p { break-inside: avoid; }
  .parts { display: block; }
  .parts > .table { break-inside: auto; overflow: visible; }
  .figure > :not(svg) { display: none !important; }
  .figure > svg { display: block; max-width: 100%; height: auto; }
}
"""

# Bokeh's canvas keeps the size that it has on the screen, and paper would cut it.
_PRINT = """
addEventListener("beforeprint", () => {
  for (const view of Bokeh.index.roots) {
    const place = view.el.closest(".figure")
    if (place === null || view.bbox.is_empty) continue
    const drawn = view.export("svg").ctx.get_svg()
    drawn.setAttribute("viewBox", `0 0 ${view.bbox.width} ${view.bbox.height}`)
    place.querySelector(":scope > svg")?.remove()
    place.append(drawn)
  }
})
"""

_PAGE = (
    """{% from macros import embed -%}
{% macro all_of(parts, roots, kinds) %}{% for one in parts if one.kind in kinds %}
<div class="{{ one.kind }}"{{ ' aria-live="polite"' if one.kind == "told" }}>
{{ embed(roots[one.name]) }}</div>{% endfor %}{% endmacro %}
{% macro laid_out(parts, roots) %}
{% if parts | selectattr("kind", "in", ["slider", "button", "input"]) | list %}
<div class="local" role="group" aria-label="Controls of this part">
{{ all_of(parts, roots, ("slider", "button", "input")) }}</div>{% endif %}
<div class="parts">{{ all_of(parts, roots, ("figure", "told", "table")) }}</div>
{% endmacro -%}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title | e }}</title>
<style>"""
    + _STYLE
    + """{% for run in runs %}
.runs:has(#choose-{{ loop.index0 }}:checked) ~ main:not(#run-{{ loop.index0 }}) { display: none; }
{% endfor %}</style>
{{ bokeh_css if bokeh_css }}
{{ bokeh_js if bokeh_js }}
</head>
<body>
<header><h1>{{ title | e }}</h1></header>
{% if runs | length > 1 or links %}
<div class="runs" role="group" aria-label="Runs">
{% for link in links %}<a href="?run={{ loop.index0 }}">{{ link | e }}</a>{% endfor %}
{% if not links %}{% for run in runs %}
<label><input type="radio" name="run" id="choose-{{ loop.index0 }}"{{ " checked" if loop.first }}>
{{ run.name | e }}</label>
{% endfor %}{% endif %}
</div>
{% endif %}
{% for run in runs %}
<main id="run-{{ loop.index0 }}">
<p>{{ run.about | e }} {{ run.left_out | e }}</p>
<nav aria-label="Views"><ul>
{% if run.panel %}<li><a href="#train">Train</a></li>{% endif %}
{% for room in run.rooms if not room.reason %}
<li><a href="#{{ run.key }}-{{ room.name }}">{{ room.title | e }}</a></li>
{% endfor %}</ul></nav>
{% if run.panel %}
<section><h2 id="train">Train</h2>
<p>A training of its own process, written as a run like any other; it goes on if this page is
closed.</p>
{{ laid_out(run.panel, roots) }}
</section>
{% endif %}
<div class="controls" role="group" aria-label="Controls of all views">
{{ all_of(run.controls, roots, ("slider", "button", "input")) }}</div>
{% for room in run.rooms if not room.reason %}
<section aria-labelledby="{{ run.key }}-{{ room.name }}">
<h2 id="{{ run.key }}-{{ room.name }}">{{ room.title | e }}</h2>
<p>{{ room.text | e }}</p>{{ laid_out(room.parts, roots) }}
</section>
{% endfor %}
{% for room in run.rooms if room.reason %}{% if loop.first %}
<section aria-labelledby="{{ run.key }}-empty">
<h2 id="{{ run.key }}-empty">Views that this run cannot fill</h2>
<dl>{% endif %}
<dt>{{ room.title | e }}</dt><dd>Not shown: {{ room.reason | e }}.</dd>
{% if loop.last %}</dl>
</section>
{% endif %}{% endfor %}
</main>
{% endfor %}
{{ plot_script }}
<script>"""
    + _PRINT
    + """</script>
</body>
</html>
"""
)

TEMPLATE = Environment(autoescape=False).from_string(_PAGE)
"""What is not markup of ours or Bokeh's goes through ``e``: no name or path of a run is markup."""
