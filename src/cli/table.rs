//! Tables. The only door to `comfy-table`.

use comfy_table::{CellAlignment, ContentArrangement, Table as Grid, TableStyle};

/// Which side a column leans to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Text.
    Left(&'static str),
    /// Figures.
    Right(&'static str),
}

/// A table of plain columns, as wide as its content.
pub struct Table(Grid);

impl Table {
    /// An empty table.
    pub fn new(columns: &[Column]) -> Self {
        let mut grid = Grid::new();
        grid.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
        grid.set_header(columns.iter().map(|column| match column {
            Column::Left(title) | Column::Right(title) => *title,
        }));
        for (at, column) in columns.iter().enumerate() {
            if let Some(shape) = grid.column_mut(at) {
                shape.set_padding((0, 2));
                if matches!(column, Column::Right(_)) {
                    shape.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        Self(grid)
    }

    /// Adds a row; its cells must be printable.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add_row(cells.into_iter().collect::<Vec<_>>());
    }

    /// The table's lines, without trailing spaces.
    pub fn text(&self) -> String {
        self.0.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_lean_right_and_lines_end_without_spaces() {
        let mut table = Table::new(&[Column::Left("kind"), Column::Right("bytes"), Column::Left("note")]);
        table.row(["packs".to_owned(), "7".to_owned(), "x".to_owned()]);
        table.row(["index".to_owned(), "1234567".to_owned(), String::new()]);
        insta::assert_snapshot!(table.text(), @r"
        kind     bytes  note
        packs        7  x
        index  1234567
        ");
    }
}
