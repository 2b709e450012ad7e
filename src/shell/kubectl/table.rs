//! Tables as the client lays them out.

/// Columns at least six wide, three blanks between them, the last one as it is (`printers.GetNewTabWriter`).
pub(super) fn layout(rows: &[Vec<String>]) -> String {
    layout_with(rows, &mut Widths::default())
}

/// How wide the columns of a table are that goes on.
#[derive(Clone, Debug, Default)]
pub(super) struct Widths(Vec<usize>);

/// The same for rows that follow others: a column stays as wide as it has been (`RememberWidths`).
pub(super) fn layout_with(rows: &[Vec<String>], widths: &mut Widths) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths = &mut widths.0;
    widths.resize(columns.max(widths.len()), 6);
    for (column, width) in widths.iter_mut().enumerate() {
        let cells = rows.iter().filter(|row| column + 1 < row.len()).filter_map(|row| row.get(column));
        *width = cells.map(|cell| cell.chars().count() + 3).max().unwrap_or(0).max(*width);
    }
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                text.push_str(&" ".repeat(widths[column].saturating_sub(cell.chars().count())));
            }
        }
        text.push('\n');
    }
    text
}

/// A cell ends at its first line break.
pub(super) fn first_line(cell: &str) -> String {
    match cell.find(['\n', '\r', '\u{c}']) {
        Some(end) => format!("{}...", &cell[..end]),
        None => cell.to_owned(),
    }
}

/// Columns as wide as their widest cell, two blanks between them (`tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)`).
pub(super) fn narrow(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter(|row| column + 1 < row.len()).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().map_or(0, |width| width + 2)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                text.push_str(&" ".repeat(widths[column].saturating_sub(cell.chars().count())));
            }
        }
        text.push('\n');
    }
    text
}
