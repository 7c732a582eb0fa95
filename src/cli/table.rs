//! Aligned columns, in a terminal no wider than it.

use console::{Style, Term};
use std::{env, io::IsTerminal};

/// What stands between two columns.
const GAP: usize = 2;

/// A text in a table.
#[derive(Clone, Default)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A text in a style, which is left out where the output is no terminal.
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), style: Style::new() }
    }
}

/// Lines of cells, the first of them the head.
#[derive(Default)]
pub struct Table(Vec<Vec<Cell>>);

impl Table {
    /// A table with these columns.
    pub fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(vec![head.into_iter().map(|text| Cell::styled(text, Style::new().dim())).collect()])
    }

    /// Adds a line.
    pub fn push(&mut self, row: impl IntoIterator<Item = Cell>) {
        self.0.push(row.into_iter().collect());
    }

    /// Writes it to the output.
    pub fn print(&self) {
        self.lines(terminal_width()).for_each(|line| super::say(format_args!("{line}\n")));
    }

    fn lines(&self, most: Option<usize>) -> impl Iterator<Item = String> {
        let count = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.0.iter().filter_map(|row| row.get(column)).map(|cell| length(&cell.text)).max();
        let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
        self.0.iter().map(move |row| {
            let (mut line, mut used) = (String::new(), 0);
            let last = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
            for (index, (cell, width)) in row.iter().zip(&widths).take(last).enumerate() {
                let room = most.map_or(usize::MAX, |most| most.saturating_sub(used));
                let text = shortened(&cell.text, room);
                let fill = if index + 1 == last { 0 } else { (width + GAP).saturating_sub(length(&text)).min(room) };
                used += length(&text) + fill;
                line += &format!("{}{:fill$}", cell.style.apply_to(text), "");
            }
            line.trim_end().to_owned()
        })
    }
}

fn length(text: &str) -> usize {
    console::measure_text_width(text)
}

/// A text in at most `room` columns.
fn shortened(text: &str, room: usize) -> String {
    if length(text) <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    if room == 0 { String::new() } else { format!("{}…", kept.trim_end()) }
}

/// The columns of the terminal, if the output is one.
fn terminal_width() -> Option<usize> {
    std::io::stdout().is_terminal().then(|| Term::stdout().size_checked()).flatten().map(|(_, columns)| columns.into())
}

/// The columns of the terminal; elsewhere what the variable `COLUMNS` says, or 80.
pub fn width() -> usize {
    let told = || env::var("COLUMNS").ok()?.parse().ok();
    terminal_width().or_else(told).unwrap_or(80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(most: Option<usize>) -> Vec<String> {
        let mut table = Table::new(["name", "value", ""]);
        table.push(["größe".into(), "1".into(), "and more".into()]);
        table.push(["b".into(), Cell::default(), Cell::default()]);
        table.lines(most).collect()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        assert_eq!(lines(None), ["name   value", "größe  1      and more", "b"]);
    }

    #[test]
    fn a_line_ends_at_the_edge_of_the_terminal() {
        assert_eq!(lines(Some(19)), ["name   value", "größe  1      and…", "b"]);
        assert_eq!(lines(Some(3)), ["na…", "gr…", "b"]);
        assert_eq!(lines(Some(0)), ["", "", ""]);
    }
}
