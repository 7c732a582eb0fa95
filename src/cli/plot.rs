//! Lines drawn with letters: dots of braille, or a letter of its own for each line where there are no colours.

use super::words;
use console::{Color, Style};
use std::collections::BTreeMap;

/// The colours of lines, one after another.
const COLORS: [Color; 6] = [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Red, Color::Blue];

/// The letters of lines where there are no colours.
const LETTERS: [char; 8] = ['•', '×', '+', 'o', '*', '#', '%', '@'];

/// The lines that are named below the chart.
const NAMED: usize = 8;

/// The rows of a chart.
const HEIGHT: usize = 12;

/// The dots of braille in a cell, two to a row; bits by row, left and right.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// A line to draw: a name and its points.
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Draws lines into `width` columns. Values that are no number are left out.
pub fn draw(lines: &[Line], width: usize, colors: bool) -> String {
    let finite = |line: &Line| line.points.iter().copied().filter(|(_, y)| y.is_finite()).collect::<Vec<_>>();
    let drawn: Vec<Vec<(f64, f64)>> = lines.iter().map(finite).collect();
    let Some(frame) = Frame::around(drawn.iter().flatten()) else { return "no numbers to draw\n".into() };
    let labels: Vec<String> = (0..HEIGHT).map(|row| frame.label(row)).collect();
    let margin = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let columns = width.saturating_sub(margin + 2).max(8);
    let letters = !colors && lines.len() > 1;
    let mut cells: BTreeMap<(usize, usize), (u32, usize)> = BTreeMap::new();
    let scale = if letters { (1, 1) } else { (2, 4) };
    for (index, points) in drawn.iter().enumerate() {
        for (x, y) in dots(points, &frame, columns * scale.0, HEIGHT * scale.1) {
            let cell = cells.entry((y / scale.1, x / scale.0)).or_default();
            // Where lines cross, the later is on top.
            *cell = (cell.0 | DOTS[y % scale.1][x % scale.0], index);
        }
    }
    let mut out = String::new();
    for (row, label) in labels.iter().enumerate() {
        let edge = if label.is_empty() { '│' } else { '┤' };
        let mut line = format!("{label:>margin$} {edge}");
        let cells: Vec<_> = (0..columns).map(|column| cells.get(&(row, column))).collect();
        // What stands side by side in one colour is coloured together.
        for cells in cells.chunk_by(|a, b| a.map(|a| a.1) == b.map(|b| b.1)) {
            let sign = |cell: &Option<&(u32, usize)>| match cell {
                None => ' ',
                Some((_, index)) if letters => LETTERS[index % LETTERS.len()],
                Some((bits, _)) => char::from_u32(0x2800 + bits).unwrap_or(' '),
            };
            let text: String = cells.iter().map(sign).collect();
            line += &match cells {
                [Some((_, index)), ..] if lines.len() > 1 => paint(text, *index, colors),
                _ => text,
            };
        }
        out += line.trim_end();
        out.push('\n');
    }
    let (first, last) = (words::number(frame.left), words::number(frame.right));
    out += &format!("{:margin$} └{}\n", "", "─".repeat(columns));
    let gap = columns.saturating_sub(first.chars().count() + last.chars().count());
    out += &format!("{:margin$}  {first}{:gap$}{last}\n", "", "");
    if lines.len() > 1 {
        let sign = |index: usize| match letters {
            true => LETTERS[index % LETTERS.len()].to_string(),
            false => paint('━'.to_string(), index, colors),
        };
        let names = lines.iter().enumerate().take(NAMED).map(|(index, line)| format!("{} {}", sign(index), line.name));
        let more = lines.len().saturating_sub(NAMED);
        let more = (more > 0).then(|| format!("and {more} more"));
        out += &format!("{:margin$}  {}\n", "", names.chain(more).collect::<Vec<_>>().join("   "));
    }
    out
}

fn paint(text: String, index: usize, colors: bool) -> String {
    if !colors {
        return text;
    }
    Style::new().fg(COLORS[index % COLORS.len()]).force_styling(true).apply_to(text).to_string()
}

/// The part of the plane that is drawn.
struct Frame {
    left: f64,
    right: f64,
    low: f64,
    high: f64,
}

impl Frame {
    fn around<'a>(points: impl Iterator<Item = &'a (f64, f64)>) -> Option<Self> {
        points.fold(None, |frame: Option<Self>, &(x, y)| {
            let frame = frame.unwrap_or(Self { left: x, right: x, low: y, high: y });
            Some(Self {
                left: frame.left.min(x),
                right: frame.right.max(x),
                low: frame.low.min(y),
                high: frame.high.max(y),
            })
        })
    }

    /// What stands beside a row: the highest value, the middle, the lowest.
    fn label(&self, row: usize) -> String {
        match row {
            0 => words::number(self.high),
            _ if self.low == self.high => String::new(),
            row if row == HEIGHT / 2 => words::number(self.low / 2.0 + self.high / 2.0),
            row if row + 1 == HEIGHT => words::number(self.low),
            _ => String::new(),
        }
    }
}

/// The dots of a line through points, in a field of `columns` by `rows` dots.
fn dots(points: &[(f64, f64)], frame: &Frame, columns: usize, rows: usize) -> Vec<(usize, usize)> {
    let share = |value: f64, from: f64, to: f64| {
        if to > from { (value / 2.0 - from / 2.0) / (to / 2.0 - from / 2.0) } else { 0.0 }
    };
    let place = |&(x, y): &(f64, f64)| {
        let column = share(x, frame.left, frame.right) * (columns - 1) as f64;
        let row =
            (if frame.high > frame.low { 1.0 - share(y, frame.low, frame.high) } else { 0.0 }) * (rows - 1) as f64;
        (column.round() as usize, row.round() as usize)
    };
    let mut dots: Vec<(usize, usize)> = points.first().map(place).into_iter().collect();
    for pair in points.windows(2) {
        let ((x, y), (to_x, to_y)) = (place(&pair[0]), place(&pair[1]));
        let steps = x.abs_diff(to_x).max(y.abs_diff(to_y));
        let between = |from: usize, to: usize, step: usize| {
            let share = step as f64 / steps as f64;
            (from as f64 + (to as f64 - from as f64) * share).round() as usize
        };
        dots.extend((1..=steps).map(|step| (between(x, to_x, step), between(y, to_y, step))));
    }
    dots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, values: &[f64]) -> Line {
        Line { name: name.into(), points: (1..).map(f64::from).zip(values.iter().copied()).collect() }
    }

    #[test]
    fn a_line_is_drawn_from_corner_to_corner() {
        let chart = draw(&[line("loss", &[1.0, f64::NAN, 0.0])], 20, false);
        let wanted = "  1 ┤⠱⡀
    │ ⠑⡄
    │  ⠈⢆
    │   ⠈⢢
    │     ⠣⡀
    │      ⠑⡄
0.5 ┤       ⠘⢄
    │        ⠈⢢
    │          ⠣⡀
    │           ⠱⡀
    │            ⠘⢄
  0 ┤             ⠈⢆
    └───────────────
     1             3
";
        assert_eq!(chart, wanted);
    }

    #[test]
    fn lines_without_colours_have_letters() {
        let chart = draw(&[line("train", &[2.0, 1.0]), line("valid", &[2.0, 2.0])], 30, false);
        assert!(chart.contains('•') && chart.contains('×') && chart.ends_with("• train   × valid\n"), "{chart}");
        assert!(chart.lines().all(|line| line.chars().count() <= 30), "{chart}");
    }

    #[test]
    fn what_can_not_be_drawn_is_said() {
        assert_eq!(draw(&[line("loss", &[f64::NAN])], 30, false), "no numbers to draw\n");
        assert!(draw(&[line("loss", &[0.5])], 0, false).contains("0.5 ┤⠁"));
        assert!(draw(&[line("loss", &[f64::MAX, f64::MIN])], 40, false).lines().count() == HEIGHT + 2);
    }
}
