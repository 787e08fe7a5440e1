"""The page of a model card, as a template that escapes whatever is put into it."""

MODEL_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #222 }
h2 { margin-top: 2.2rem; border-bottom: 2px solid #222; padding-bottom: .2rem }
table { border-collapse: collapse; width: 100% }
.wide { overflow-x: auto; margin: .8rem 0 }
th, td { border-bottom: 1px solid #ddd; padding: .35rem .6rem; text-align: left; vertical-align: top }
td { font-variant-numeric: tabular-nums; overflow-wrap: break-word }
.not-for li { margin: .35rem 0 }
.not-for { border-left: 4px solid #a40000; padding-left: 1.2rem; list-style: none }
.drawings { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); gap: 1.2rem }
figure { margin: 0 }
figure img { width: 100%; height: auto; max-height: 34rem; object-fit: contain; object-position: left top }
figcaption { color: #666; font-size: 13px }
@media print { figure { break-inside: avoid } }
</style>
{%- macro grid(heads, rows) %}
<div class="wide"><table>
<thead><tr>{% for head in heads %}<th>{{ head }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody>
</table></div>
{%- endmacro %}
{%- macro drawings(plots) %}
<div class="drawings">
{% for plot in plots %}<figure><img loading="lazy" alt="{{ plot.alt }}" src="{{ plot.source }}">\
<figcaption>{{ plot.caption }}</figcaption></figure>
{% endfor %}</div>
{%- endmacro %}
<h1>{{ title }}</h1>
<p>{{ summary }}</p>
{{ grid(("fact", "value"), facts) }}

<h2>What it must not be used for</h2>
<ul class="not-for">
{% for purpose in not_for %}<li>{{ purpose }}</li>
{% endfor %}</ul>

<h2>How it was trained and tested</h2>
{{ grid(("fact", "value"), training) }}
{% if fallbacks %}
<h3>Segments without a model of their own</h3>
<p>They have too few churners to learn from, and are scored by the model of all.</p>
{{ grid(("segment", "churners", "needed"), fallbacks) }}
{% endif %}

<h2>How good it is</h2>
<p>On customers and labels that nothing behind these figures had seen. The interval holds 95 % of what the same figure
is on customers drawn anew from the test rows.</p>
{{ grid(("figure", "value", "95 % interval", "how to read it"), measures) }}
{% for part in slices %}
<h3>By {{ part.by }}</h3>
{{ grid(part.heads, part.rows) }}
{% endfor %}
{{ drawings(curves) }}

<h2>What it has learnt</h2>
{% if shapes %}
<p>The log-odds of a customer are the sum of these shapes and {{ intercept }}. Above 0 a shape raises the risk, below it
lowers it. The most important come first: those that move the average customer's log-odds most.</p>
{{ drawings(shapes) }}
{% if pairs %}
<h3>Pairs of features</h3>
<p>What two features add together beyond what each adds alone.</p>
{{ drawings(pairs) }}
{% endif %}
{% else %}
<p>A model of this kind has no shapes that could be drawn. These are the columns that it reads.</p>
{{ grid(("column", "what it is", "unit"), inputs) }}
{% endif %}
</html>
"""
