//! An outlook as a page of HTML that needs nothing else: what is expected, when each step is done, and what other numbers of
//! workers would take and cost.

use super::{
    foresee::{self, Known, money, time},
    plan::workers,
    teams,
    words::{self, inside},
};
use crate::{
    prices::Prices,
    simulate::{Outlook, Point, Row},
};
use std::fmt::{self, Display};

/// A text inside of HTML.
struct Text<'t>(&'t str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #6a737d; --paper: #ffffff; --line: #d8dee4; --bar: #8fb8de;
  --critical: #d9822b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #8b949e; --paper: #0d1117; --line: #30363d;
  --bar: #316dca; --critical: #db8b3b; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } p { margin: .4rem 0; } .dim { color: var(--dim); }
table { border-collapse: collapse; width: 100%; } th, td { text-align: right; padding: .25rem .6rem;
  border-bottom: 1px solid var(--line); } th:first-child, td:first-child { text-align: left; }
th { font-weight: 500; color: var(--dim); } svg { width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); } svg .dim { fill: var(--dim); }
.bar { fill: var(--bar); } .critical { fill: var(--critical); } .axis { stroke: var(--line); }";

/// The page.
pub fn html(known: &Known, prices: &Prices, outlook: &Outlook, frontier: &[Point]) -> String {
    let graph = &known.prepared.graph;
    let title = format!("{} on {}", graph.workflow, known.platform.name);
    let blamed = outlook.blamed.first().map(|(path, _)| path.as_str());
    let failure = outlook.failure.as_ref().map_or_else(String::new, |(step, failure)| {
        let told = foresee::failed_step(step, failure, outlook.is_guessed);
        format!("<p>{}</p>\n", Text(&told))
    });
    let teams: String = teams::told(outlook).iter().map(|told| format!("<p>{}.</p>\n", Text(told))).collect();
    let frontier = match frontier.len() {
        0 | 1 => String::new(),
        _ => format!("<h2>Other numbers of workers</h2>\n{}", chart(frontier)),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n\
         <p>{} and {} in the middle; in 9 of 10 runs at most {} and {}.</p>\n<p>{}.</p>\n\
         <p class=\"dim\">By {} simulated runs; prices as of {}.</p>\n<h2>When each step is done</h2>\n{}\n\
         <h2>Step by step</h2>\n{}\n{teams}{failure}{frontier}\n</html>\n",
        time(outlook.seconds.median()),
        money(outlook.dollars.median()),
        time(outlook.seconds.quantile(0.9)),
        money(outlook.dollars.quantile(0.9)),
        Text(&foresee::limits(graph, outlook.ends, blamed)),
        outlook.ends.runs(),
        prices.as_of,
        gantt(outlook),
        table(outlook),
        title = Text(&title),
    )
}

/// The steps that are done at all.
fn done(outlook: &Outlook) -> impl Iterator<Item = &Row> {
    outlook.rows.iter().filter(|row| row.count > 0.0)
}

fn table(outlook: &Outlook) -> String {
    let rows: String = done(outlook)
        .map(|row| {
            format!(
                "<tr><td style=\"padding-left: {}rem\">{}</td><td>{:.0}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
                 <td>{}</td></tr>\n",
                row.depth as f64 * 1.2 + 0.6,
                Text(&row.name),
                row.count,
                time(row.seconds.median()),
                time(row.seconds.quantile(0.9)),
                row.slack.map_or_else(String::new, time),
                money(row.dollars.median()),
                workers(row).map_or_else(String::new, |workers| workers.to_string()),
            )
        })
        .collect();
    format!(
        "<table>\n<tr><th>step</th><th>times</th><th>each takes</th><th>9 of 10</th><th>to spare</th><th>costs</th>\
         <th>workers</th></tr>\n{rows}</table>"
    )
}

/// A bar for each step, from when it first begins to when the last of it is over.
fn gantt(outlook: &Outlook) -> String {
    const LEFT: f64 = 200.0;
    const WIDTH: f64 = 700.0;
    const LINE: f64 = 22.0;
    let whole = outlook.seconds.median().max(1e-3);
    let rows: Vec<&Row> = done(outlook).collect();
    let bars: String = rows
        .iter()
        .zip(0..)
        .map(|(row, line)| {
            let (y, x) = (f64::from(line) * LINE, LEFT + WIDTH * (row.begins / whole).min(1.0));
            let width = (WIDTH * row.seconds.median() / whole).min(LEFT + WIDTH - x).max(2.0);
            let class = if outlook.critical.contains(&row.path) { "critical" } else { "bar" };
            format!(
                "<text x=\"{}\" y=\"{}\">{}</text><rect class=\"{class}\" x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" \
                 height=\"14\" rx=\"2\"><title>{}: {} each</title></rect>\n",
                12.0 * row.depth as f64,
                y + 15.0,
                Text(&row.name),
                y + 4.0,
                Text(inside(&row.path)),
                time(row.seconds.median()),
            )
        })
        .collect();
    let bottom = rows.len() as f64 * LINE;
    let ticks: String = (0..=4)
        .map(|tick| {
            let share = f64::from(tick) / 4.0;
            let x = LEFT + WIDTH * share;
            format!(
                "<line class=\"axis\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"{bottom}\"/><text class=\"dim\" x=\"{x}\" y=\"{}\" \
                 text-anchor=\"middle\">{}</text>\n",
                bottom + 16.0,
                time(whole * share),
            )
        })
        .collect();
    format!("<svg viewBox=\"0 0 {} {}\">\n{ticks}{bars}</svg>", LEFT + WIDTH + 40.0, bottom + 24.0)
}

/// Time and money for each number of workers.
fn chart(frontier: &[Point]) -> String {
    const LEFT: f64 = 70.0;
    const WIDTH: f64 = 760.0;
    const HEIGHT: f64 = 260.0;
    let most = |of: fn(&Point) -> f64| frontier.iter().map(of).fold(1e-12, f64::max);
    let (seconds, dollars) = (most(|point| point.seconds), most(|point| point.dollars));
    let points: String = frontier
        .iter()
        .map(|point| {
            let (x, y) = (LEFT + WIDTH * point.seconds / seconds, HEIGHT * (1.05 - point.dollars / dollars));
            let class = if point.kept { "critical" } else { "bar" };
            format!(
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"><title>{}: {}, {}</title></circle>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
                words::count(point.workers as usize, "worker"),
                time(point.seconds),
                money(point.dollars),
                x + 9.0,
                y + 4.0,
                point.workers,
            )
        })
        .collect();
    let bottom = HEIGHT * 1.05;
    format!(
        "<p class=\"dim\">Time to the right, money upward; the number is that of the workers. Orange keeps the limits.</p>\n\
         <svg viewBox=\"0 0 {} {}\">\n<line class=\"axis\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{bottom}\" y2=\"{bottom}\"/>\
         <line class=\"axis\" x1=\"{LEFT}\" x2=\"{LEFT}\" y1=\"0\" y2=\"{bottom}\"/><text class=\"dim\" x=\"{}\" y=\"{}\" \
         text-anchor=\"end\">{}</text><text class=\"dim\" x=\"0\" y=\"14\">{}</text>\n{points}</svg>",
        LEFT + WIDTH + 60.0,
        bottom + 24.0,
        LEFT + WIDTH,
        LEFT + WIDTH,
        bottom + 18.0,
        time(seconds),
        money(dollars),
    )
}
