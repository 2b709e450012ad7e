//! Go's `text/tabwriter`: a column is as wide as the cells of neighbouring lines that stand in it.

/// Lays out lines whose cells end with tabs. Each column is at least `least` wide and `padding` wider than its cells.
pub(super) fn write(text: &str, least: usize, padding: usize) -> String {
    let lines: Vec<Vec<&str>> =
        text.split_inclusive('\n').map(|line| line.trim_end_matches('\n').split('\t').collect()).collect();
    let mut out = String::new();
    let mut widths = Vec::new();
    format(&lines, 0..lines.len(), &mut widths, (least, padding), &mut out);
    out
}

fn format(
    lines: &[Vec<&str>],
    range: std::ops::Range<usize>,
    widths: &mut Vec<usize>,
    (least, padding): (usize, usize),
    out: &mut String,
) {
    let column = widths.len();
    let mut start = range.start;
    let mut this = range.start;
    while this < range.end {
        // The last cell of a line is in no column: nothing stands behind it.
        if column + 1 >= lines[this].len() {
            this += 1;
            continue;
        }
        print(&lines[start..this], widths, out);
        start = this;
        let mut width = least;
        while this < range.end && column + 1 < lines[this].len() {
            width = width.max(lines[this][column].chars().count() + padding);
            this += 1;
        }
        widths.push(width);
        format(lines, start..this, widths, (least, padding), out);
        widths.pop();
        start = this;
    }
    print(&lines[start..range.end], widths, out);
}

fn print(lines: &[Vec<&str>], widths: &[usize], out: &mut String) {
    for line in lines {
        for (column, cell) in line.iter().enumerate() {
            out.push_str(cell);
            if let Some(width) = widths.get(column).filter(|_| column + 1 < line.len()) {
                out.push_str(&" ".repeat(width.saturating_sub(cell.chars().count())));
            }
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::write;

    #[test]
    fn columns_are_as_wide_as_their_neighbours() {
        let text = "Name:\tweb\nLabels:\ta=b\n\tc=d\nIPs:\n  IP:\t10.0.0.1\nx\ty\tz\nlonger\ty\tz\n";
        let laid_out =
            "Name:    web\nLabels:  a=b\n         c=d\nIPs:\n  IP:   10.0.0.1\nx       y  z\nlonger  y  z\n";
        assert_eq!(write(text, 0, 2), laid_out);
    }
}
