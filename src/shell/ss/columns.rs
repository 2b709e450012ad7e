//! The columns of `ss` and how they stretch to the width of a terminal (`render_calc_width`, `render`).

/// Columns in order.
pub(super) const NETID: usize = 0;
pub(super) const STATE: usize = 1;
pub(super) const RECVQ: usize = 2;
pub(super) const SENDQ: usize = 3;
pub(super) const ADDR: usize = 4;
pub(super) const PORT: usize = 5;
pub(super) const PEER: usize = 6;
pub(super) const PEER_PORT: usize = 7;
pub(super) const PROCESS: usize = 8;

/// Header, whether it is aligned to the right, and what divides it from the column before.
const COLUMNS: [(&str, bool, &str); 9] = [
    ("Netid", false, ""),
    ("State", false, " "),
    ("Recv-Q", false, " "),
    ("Send-Q", false, " "),
    ("Local Address:", true, " "),
    ("Port", false, ""),
    ("Peer Address:", true, " "),
    ("Port", false, ""),
    ("Process", false, ""),
];

type Row = [String; COLUMNS.len()];

/// A table under way.
#[derive(Debug, Default)]
pub(super) struct Table {
    disabled: [bool; COLUMNS.len()],
    has_header: bool,
    rows: Vec<Row>,
    row: Row,
}

impl Table {
    /// Leaves a column out.
    pub(super) fn disable(&mut self, column: usize) {
        self.disabled[column] = true;
    }

    /// Begins with the headers.
    pub(super) fn header(&mut self) {
        self.has_header = true;
        self.rows.push(COLUMNS.map(|(name, ..)| name.to_owned()));
    }

    /// Sets a field of the present row.
    pub(super) fn set(&mut self, column: usize, text: &str) {
        text.clone_into(&mut self.row[column]);
    }

    /// Ends the present row.
    pub(super) fn next_row(&mut self) {
        self.rows.push(std::mem::take(&mut self.row));
    }

    /// The table for a terminal of this width, or as narrow as it can be for a pipe.
    pub(super) fn render(&self, screen: Option<usize>) -> String {
        let mut widths = self.content_widths(screen.unwrap_or(usize::MAX));
        if let Some(screen) = screen {
            stretch(&mut widths, screen);
        }
        let mut out = String::new();
        for row in &self.rows {
            self.line(&mut out, row, &widths);
        }
        out
    }

    /// Each column as wide as its content. The last field of the last socket is not measured, for nothing follows it
    /// that would make the program look (`field_flush`).
    fn content_widths(&self, most: usize) -> [usize; COLUMNS.len()] {
        let mut widths = [0; COLUMNS.len()];
        let mut is_first = true;
        for (column, (_, _, delimiter)) in COLUMNS.iter().enumerate() {
            if self.disabled[column] {
                continue;
            }
            let has_open_row = column == PROCESS && self.rows.len() > usize::from(self.has_header);
            let last = self.rows.len() - usize::from(has_open_row);
            let content = self.rows[..last].iter().map(|row| row[column].len()).max().unwrap_or(0);
            let width = if !is_first && content > 0 { content + delimiter.len() } else { content };
            widths[column] = width.min(most);
            is_first &= width == 0;
        }
        widths
    }

    fn line(&self, out: &mut String, row: &Row, widths: &[usize; COLUMNS.len()]) {
        let mut is_started = false;
        for (column, (_, right, delimiter)) in COLUMNS.iter().enumerate() {
            if self.disabled[column] {
                continue;
            }
            let begin = out.len();
            if std::mem::replace(&mut is_started, true) {
                out.push_str(delimiter);
            }
            let pad = widths[column].saturating_sub(out.len() - begin + row[column].len());
            if *right {
                out.push_str(&" ".repeat(pad));
            }
            out.push_str(&row[column]);
            if !right {
                out.push_str(&" ".repeat(pad));
            }
        }
        out.push('\n');
    }
}

/// Spreads the room that is left on a line of the terminal over the columns on it, the last ones first.
fn stretch(widths: &mut [usize], screen: usize) {
    let (mut first, mut len, mut count) = (0, 0, 0);
    let mut column = 0;
    while column < widths.len() {
        if widths[column] == 0 {
            column += 1;
            continue;
        }
        count += 1;
        len += widths[column];
        let is_last = widths[column + 1..].iter().all(|width| *width == 0);
        if !is_last && len < screen {
            column += 1;
            continue;
        }
        if len != screen {
            if len > screen && count > 1 {
                len -= widths[column];
                column -= 1;
                count -= 1;
            }
            let pad = screen.saturating_sub(len);
            let (spacing, mut rest) = (pad / count, pad % count);
            for width in widths[first..=column].iter_mut().rev().filter(|width| **width > 0) {
                *width += spacing + usize::from(rest > 0);
                rest = rest.saturating_sub(1);
            }
        }
        column += 1;
        (first, len, count) = (column, 0, 0);
    }
}
