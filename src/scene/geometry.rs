//! Points, rectangles and the paths that packets run along. Layout is in whole pixels at 100 %; only a packet on its
//! way stands between two of them.

/// A place on the stage, in pixels at 100 %; y grows downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// From the left.
    pub x: i32,
    /// From the top.
    pub y: i32,
}

/// A box on the stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rect {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width.
    pub w: i32,
    /// Height.
    pub h: i32,
}

impl Point {
    /// The point at `x`, `y`.
    pub const fn new(x: i32, y: i32) -> Self {
        Self { x, y }
    }
}

impl Rect {
    /// The box with this left and top edge, width and height.
    pub const fn new(x: i32, y: i32, w: i32, h: i32) -> Self {
        Self { x, y, w, h }
    }

    /// Right edge.
    pub const fn right(self) -> i32 {
        self.x + self.w
    }

    /// Bottom edge.
    pub const fn bottom(self) -> i32 {
        self.y + self.h
    }

    /// Middle.
    pub const fn center(self) -> Point {
        Point::new(self.x + self.w / 2, self.y + self.h / 2)
    }

    /// Whether `other` lies inside, edges included.
    pub const fn contains(self, other: Self) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && other.right() <= self.right()
            && other.bottom() <= self.bottom()
    }

    /// Whether the two share more than an edge.
    pub const fn overlaps(self, other: Self) -> bool {
        self.x < other.right() && other.x < self.right() && self.y < other.bottom() && other.y < self.bottom()
    }

    /// How many pixels lie in both.
    pub fn shared(self, other: Self) -> i32 {
        let w = self.right().min(other.right()) - self.x.max(other.x);
        let h = self.bottom().min(other.bottom()) - self.y.max(other.y);
        w.max(0) * h.max(0)
    }

    /// The point inside that is nearest to `to`.
    pub fn nearest(self, to: Point) -> Point {
        Point::new(to.x.clamp(self.x, self.right()), to.y.clamp(self.y, self.bottom()))
    }

    /// The smallest box around both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        Self::new(x, y, self.right().max(other.right()) - x, self.bottom().max(other.bottom()) - y)
    }

    /// The box with `by` more on each side.
    #[must_use]
    pub const fn grown(self, by: i32) -> Self {
        Self::new(self.x - by, self.y - by, self.w + 2 * by, self.h + 2 * by)
    }
}

/// Width of a text of this size in the monospaced face, in pixels.
pub(super) fn mono_width(text: &str, size: i32) -> i32 {
    text.chars().map(|char| if char.is_ascii() { 84 } else { 140 }).sum::<i32>() * size / 140
}

/// Length of a path of horizontal and vertical pieces, in pixels.
pub fn length(path: &[Point]) -> i32 {
    path.windows(2).map(|ends| (ends[1].x - ends[0].x).abs() + (ends[1].y - ends[0].y).abs()).sum()
}

/// The point at `part` (0 to 1) of a path's length.
pub fn along(path: &[Point], part: f64) -> (f64, f64) {
    let Some(first) = path.first() else { return (0.0, 0.0) };
    let mut left = f64::from(length(path)) * part.clamp(0.0, 1.0);
    for ends in path.windows(2) {
        let piece = f64::from(length(ends));
        if left <= piece && piece > 0.0 {
            let share = left / piece;
            let between = |from: i32, to: i32| f64::from(from) + f64::from(to - from) * share;
            return (between(ends[0].x, ends[1].x), between(ends[0].y, ends[1].y));
        }
        left -= piece;
    }
    let last = path.last().unwrap_or(first);
    (f64::from(last.x), f64::from(last.y))
}

/// Puts `tail` after `path`, leaving out the point where they meet and every stop on a straight line, so that a way
/// out and back along the same piece is not walked twice.
pub(super) fn join(path: &mut Vec<Point>, tail: impl IntoIterator<Item = Point>) {
    for point in tail {
        if path.last() == Some(&point) {
            continue;
        }
        if let [.., before, last] = path[..]
            && ((before.x == last.x && last.x == point.x) || (before.y == last.y && last.y == point.y))
        {
            path.pop();
            if before == point {
                continue;
            }
        }
        path.push(point);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_moves_evenly_along_its_path() {
        let path = [Point::new(0, 0), Point::new(0, 30), Point::new(10, 30)];
        assert_eq!(length(&path), 40);
        assert_eq!(along(&path, 0.0), (0.0, 0.0));
        assert_eq!(along(&path, 0.5), (0.0, 20.0));
        assert_eq!(along(&path, 0.875), (5.0, 30.0));
        assert_eq!(along(&path, 1.0), (10.0, 30.0));
        assert_eq!(along(&path[..1], 0.3), (0.0, 0.0));
    }

    #[test]
    fn joined_paths_do_not_go_out_and_back() {
        let mut path = vec![Point::new(0, 0), Point::new(0, 10), Point::new(5, 10)];
        join(&mut path, [Point::new(5, 10), Point::new(5, 12), Point::new(5, 10), Point::new(9, 10)]);
        assert_eq!(path, [Point::new(0, 0), Point::new(0, 10), Point::new(9, 10)]);
    }
}
