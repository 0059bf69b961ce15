//! Plain tables that line up, whatever the script of the names in them.

use crate::escape::{cut, terminal, width};

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table for a terminal. Every cell is made harmless when it is added.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(Align, usize)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns: where their text stands, and how wide they may grow.
    pub fn new(columns: impl IntoIterator<Item = (Align, usize)>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells = cells.into_iter().zip(&self.columns).map(|(text, (_, max))| cut(&terminal(text.as_ref()), *max));
        self.rows.push(cells.collect());
    }

    /// The lines, each with `indent` blanks before it and none at its end.
    pub fn lines(&self, indent: usize) -> Vec<String> {
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0))
            .collect();
        let line = |row: &Vec<String>| {
            let mut out = " ".repeat(indent);
            for ((cell, room), (align, _)) in row.iter().zip(&widths).zip(&self.columns) {
                let gap = " ".repeat(room - width(cell));
                match align {
                    Align::Left => out.extend([cell.as_str(), &gap, "  "]),
                    Align::Right => out.extend([gap.as_str(), cell, "  "]),
                }
            }
            out.truncate(out.trim_end().len());
            out
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_under_wide_and_narrow_names() {
        let mut table = Table::new([(Align::Left, 12), (Align::Right, 6)]);
        table.row(["花子", "7"]);
        table.row(["Ada Lovelace-Byron", "1042"]);
        table.row(["a\x1b[2J", "1"]);
        assert_eq!(table.lines(1), [" 花子             7", " Ada Lovelac…  1042", " a\\u{1b}[2J       1"]);
    }
}
