//! Going from shape to shape with the arrow keys.

use super::model::{Scene, Shape, ShapeKind};

/// An arrow key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// Up.
    Up,
    /// Down.
    Down,
}

impl Shape {
    /// Whether it can be selected: everything but the lamps of a stack.
    pub fn is_stop(&self) -> bool {
        self.spot.is_some() && !matches!(self.kind, ShapeKind::Hook(_) | ShapeKind::Container)
    }
}

impl Scene {
    /// The nearest shape in that direction: what lies straight ahead counts as nearer than what lies aside.
    pub fn next_stop(&self, from: &str, direction: Direction) -> Option<&Shape> {
        let here = self.shape(from)?.rect.center();
        self.shapes
            .iter()
            .filter(|shape| shape.is_stop() && shape.key != from)
            .filter_map(|shape| {
                let there = shape.rect.center();
                let (dx, dy) = (there.x - here.x, there.y - here.y);
                let (ahead, aside) = match direction {
                    Direction::Left => (-dx, dy.abs()),
                    Direction::Right => (dx, dy.abs()),
                    Direction::Up => (-dy, dx.abs()),
                    Direction::Down => (dy, dx.abs()),
                };
                (ahead > 0 && aside <= 4 * ahead).then_some((ahead + 2 * aside, shape))
            })
            .min_by_key(|(cost, _)| *cost)
            .map(|(_, shape)| shape)
    }
}
