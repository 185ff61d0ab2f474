//! Tables for a person: columns as wide as what stands in them.

/// The longest cell; what is longer is cut.
const WIDEST: usize = 40;

/// A table, row by row.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// How many columns are texts, which begin at the left; the others are numbers.
    texts: usize,
}

impl Table {
    /// A table with the columns `heads`, of which the first `texts` are texts.
    pub(super) fn new(heads: &[&str], texts: usize) -> Self {
        Self { rows: vec![heads.iter().map(ToString::to_string).collect()], texts }
    }

    /// Adds a row. What is empty is shown as `-`.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        let cell = |cell: String| match cell.chars().count() {
            0 => "-".to_owned(),
            1..=WIDEST => cell,
            _ => cell.chars().take(WIDEST - 1).chain(['…']).collect(),
        };
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    /// The lines, the heads first.
    pub(super) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
                if at < self.texts { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let mut table = Table::new(&["model", "USD"], 1);
        table.row(vec!["gpt-4o".to_owned(), "0.5".to_owned()]);
        table.row(vec![String::new(), "12.25".to_owned()]);
        table.row(vec!["x".repeat(50), "1".to_owned()]);
        let lines = table.lines();
        assert_eq!(lines[1], format!("{:<40}  {:>5}", "gpt-4o", "0.5"));
        assert_eq!(lines[2], format!("{:<40}  12.25", "-"));
        assert!(lines[3].starts_with(&format!("{}…  ", "x".repeat(39))));
    }
}
